//! Encrypting and decrypting a parsed file: values, comments, MAC and the style that comes back.

mod alias;
pub mod decrypt;
pub mod encrypt;
pub mod keep;
pub mod mac;
pub mod restore;
pub mod sign;
pub mod value;
pub mod verify;
pub mod walk;

#[cfg(test)]
mod tests;
