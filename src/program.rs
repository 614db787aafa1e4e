//! The program around the engine of kveil: recipients, configuration, files, git, deployments, checks and the command line.

pub use kveil_engine::{document, error, metadata, pattern, seal, secret, select, sorting};

pub mod config;
pub mod kubernetes;

pub mod datakey;
pub mod recipient;
pub mod shamir;

pub mod pipeline;
pub mod placeholders;
pub mod variables;

pub mod source;

pub mod git;
pub mod tree;

pub mod deploy;
pub mod diagnosis;
pub mod lint;

pub mod cli;
