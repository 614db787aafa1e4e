//! Helm: the addresses of encrypted values files, the command line of the wrapper, encrypted templates in what was rendered,
//! and the plugin files that lead Helm here.

pub mod address;
pub mod arguments;
pub mod plugin;
pub mod post_render;
