//! The engine of kveil: what runs for every value of a file, from its text to the values that are encrypted, and back.

pub mod error;
pub mod secret;
pub mod sorting;

pub mod document;

pub mod metadata;
pub mod pattern;
pub mod select;

pub mod seal;
