//! The engine of kveil: from a text to the next text, without files, processes or a command line.

pub mod error;
pub mod secret;

pub mod document;

pub mod config;
pub mod kubernetes;
pub mod pattern;
pub mod select;

pub mod datakey;
pub mod metadata;
pub mod recipient;
pub mod shamir;

pub mod pipeline;
pub mod placeholders;
pub mod seal;
pub mod variables;
