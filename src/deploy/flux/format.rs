//! The formats that Flux takes files for: by their names in a generator, by their markers in a Secret's values.

use super::{Cause, Trouble};
use crate::document::{self, Kind, NONE};

/// The marker that an encrypted file of each format holds, byte for byte.
const MARKERS: [(&str, &str); 5] =
    [("yaml", "mac: ENC["), ("json", "\"mac\": \"ENC["), ("dotenv", "sops_mac=ENC["), ("ini", "[sops]"), ("binary", "\"mac\": \"ENC[")];

const NAME_IT: &str = "name the key so that its ending says the format: config.yaml=config.enc.yaml";

/// Whether Flux, or a reader of ciphertext, takes it for encrypted.
pub fn is_encrypted(text: &str) -> bool {
    MARKERS.iter().any(|(_, marker)| text.contains(marker)) || text.contains("ENC[AES256_GCM,")
}

/// The format that Flux takes from a key of a generator, or a file's name.
fn by_name(name: &str) -> &'static str {
    const ENDINGS: [(&str, &str); 6] =
        [(".dockerconfigjson", "json"), (".yaml", "yaml"), (".yml", "yaml"), (".json", "json"), (".env", "dotenv"), (".ini", "ini")];
    ENDINGS.iter().find(|(ending, _)| name.ends_with(ending)).map_or("binary", |(_, format)| format)
}

/// Whether the file has the marker of its format, and which format that is.
fn written(text: &str) -> Result<&'static str, Trouble> {
    let found = document::format_by_text(text).map(|format| format.name());
    let marked = |name: &&str| MARKERS.iter().any(|(known, marker)| known == name && text.contains(marker));
    found.filter(marked).ok_or_else(|| {
        let message = "it holds ciphertext, and isn't written as Flux expects an encrypted file";
        Trouble::new(Cause::Format, message, "encrypt it again with kveil encrypt")
    })
}

/// A file that becomes the value at `key` of a Secret: Flux decrypts it beforehand in the format that the key names, else
/// afterwards from the format that its marker shows to the one that the key names.
pub fn in_secret(text: &str, key: &str) -> Option<Trouble> {
    let (wanted, found) = (
        by_name(key),
        match written(text) {
            Ok(found) => found,
            Err(trouble) => return Some(trouble),
        },
    );
    let converted = matches!(wanted, "yaml" | "json") && found != "binary" || wanted == "dotenv" && is_flat(text, found);
    if wanted == found || converted {
        return None;
    }
    let message = match found {
        "binary" => format!("it is encrypted as binary, and decrypts to {wanted} with all of it under the key data"),
        _ => format!("the name says {wanted}, and the file is encrypted as {found}: Flux can't decrypt it to that"),
    };
    Some(Trouble::new(Cause::Format, message, NAME_IT))
}

/// Whether it has values at the top only, which any format can hold.
fn is_flat(text: &str, format: &str) -> bool {
    let document = document::format_by_name(format).and_then(|format| format.parse(text).ok());
    document.is_some_and(|document| {
        let root = document.parts.first().map_or(NONE, |part| part.root);
        let mut entries = document.entries(root).filter(|(key, _)| document.key_text(*key) != "sops");
        root != NONE && entries.all(|(_, value)| document.node(value).kind == Kind::Scalar)
    })
}

/// A file of lines KEY=VALUE: what isn't decrypted beforehand is taken apart.
pub fn in_envs(text: &str, name: &str) -> Option<Trouble> {
    match (by_name(name), written(text)) {
        (_, Err(trouble)) => Some(trouble),
        ("dotenv" | "binary", Ok("dotenv")) => None,
        _ => Some(Trouble::new(Cause::Format, "envs are lines KEY=VALUE, named .env or without an ending", "encrypt it as dotenv")),
    }
}

/// A file that Flux decrypts before kustomize runs, or never.
pub fn in_place(text: &str, name: &str) -> Option<Trouble> {
    match (by_name(name), written(text)) {
        (_, Err(trouble)) => Some(trouble),
        (wanted, Ok(found)) if wanted == found => None,
        (wanted, Ok(_)) => {
            let message = format!("the name says {wanted}, and the file isn't encrypted as that: Flux passes it on as it is");
            Some(Trouble::new(Cause::Format, message, "give the file the ending of its format"))
        }
    }
}
