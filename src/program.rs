//! The program around the engine of kveil: files, git, deployments, checks and the command line.

pub use kveil_engine::{
    config, datakey, document, error, kubernetes, metadata, pattern, pipeline, placeholders, recipient, seal, secret, select, shamir,
    variables,
};

pub mod source;

pub mod git;
pub mod tree;

pub mod deploy;
pub mod diagnosis;
pub mod lint;

pub mod cli;
