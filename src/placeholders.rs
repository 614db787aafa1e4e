//! An encrypted file with dummies in place of its values: valid in type and shape, so that schema tools can read it where
//! no key is at hand.

use base64_simd::STANDARD;
use zeroize::Zeroizing;

use crate::document::resolve::{self, Scalar, Type};
use crate::document::{Document, Format, NONE, NodeId, Role};
use crate::error::Result;
use crate::kubernetes::{self, decoded};
use crate::pipeline;
use crate::seal::decrypt::{OpenComment, Plain, Reading};
use crate::seal::value::Token;
use crate::seal::walk::{self, Leaf};
use crate::select::Selection;

const WORD: &str = "placeholder";
/// A certificate for `placeholder.invalid`, signed by itself, and its key: made to be published.
const CERTIFICATE: &str = include_str!("placeholders/tls.crt");
const KEY: &str = include_str!("placeholders/tls.key");
const DOCKER_LOGIN: &str =
    r#"{"registry.invalid":{"username":"placeholder","password":"placeholder","auth":"cGxhY2Vob2xkZXI6cGxhY2Vob2xkZXI="}}"#;
const DOCKER_CONFIG: &str =
    r#"{"auths":{"registry.invalid":{"username":"placeholder","password":"placeholder","auth":"cGxhY2Vob2xkZXI6cGxhY2Vob2xkZXI="}}}"#;
/// What fits a key of 32 bytes, as EncryptionConfiguration wants it.
const KEY_BYTES: &[u8; 32] = b"placeholder-placeholder-placehol";

/// The file with a dummy for each encrypted value and comment, and without its `sops` blocks. No key is needed; nothing
/// is checked.
///
/// # Errors
/// `Generic` (1) for a file that isn't encrypted; those of the format's parser.
pub fn text(encrypted: &str, format: &'static dyn Format) -> Result<Zeroizing<String>> {
    let document = format.parse(encrypted)?;
    let metadata = pipeline::metadata_of(&document)?;
    let walk = walk::walk(&document, &Selection::of_metadata(metadata.selector.as_ref()))?;
    let values = walk.leaves.iter().map(|leaf| value(&document, leaf)).collect::<Result<_>>()?;
    let is_token = |at: &usize| {
        let comment = &document.comments[walk.remarks[*at].comment];
        Token::parse(&document.comment_text(comment)).is_some()
    };
    let placeholder = |remark| OpenComment { remark, text: Zeroizing::new(format!(" {WORD}")), misplaced: false };
    let comments = (0..walk.remarks.len()).filter(is_token).map(placeholder).collect();
    Ok(Reading { walk, values, comments, entries: Vec::new(), signed: None, notes: Vec::new() }.text(&document))
}

/// A dummy of a token's type; anything else as it stands.
fn value<'d>(document: &'d Document<'_>, leaf: &Leaf) -> Result<Plain<'d>> {
    let value = document.scalar(leaf.node)?;
    let text = document.text(leaf.node);
    let kind = Token::parse(text).filter(|_| leaf.selected && value.kind == Type::Str).map(|token| Type::from_name(token.kind));
    let Some(kind) = kind else { return Ok(Plain { value, encrypted: false }) };
    Ok(Plain { value: dummy(document, leaf.node, kind.unwrap_or(Type::Str)), encrypted: true })
}

fn dummy(document: &Document<'_>, id: NodeId, kind: Type) -> Scalar<'static> {
    let plaintext = match kind {
        Type::Int => "1",
        Type::Float => "0.5",
        Type::Bool => "True",
        Type::Time => "2000-01-01T00:00:00Z",
        Type::Comment => " placeholder",
        Type::Str | Type::Null => return Scalar::text(&string(document, id)).into_owned(),
    };
    resolve::reread(kind, plaintext.as_bytes()).map_or_else(|_| Scalar::text(WORD).into_owned(), Scalar::into_owned)
}

/// A string of the shape that its place asks for.
fn string(document: &Document<'_>, id: NodeId) -> String {
    let Place { object, field, key } = Place::of(document, id);
    let bootstrap = object.is_some_and(|object| secret_type(document, object) == "bootstrap.kubernetes.io/token");
    let shape = bootstrap.then(|| of_bootstrap_token(key)).flatten().unwrap_or_else(|| of_key(key));
    let kind = object.and_then(|object| kubernetes::object(document, object)).map_or("", |object| object.kind);
    match (kind, field) {
        ("Secret", "data") | ("ConfigMap", "binaryData") => STANDARD.encode_to_string(shape),
        ("EncryptionConfiguration" | "EncryptionConfig", _) if key == "secret" => STANDARD.encode_to_string(KEY_BYTES),
        // kubeconfig
        (_, "user" | "cluster") if key.ends_with("-data") => STANDARD.encode_to_string(shape),
        _ => shape.to_owned(),
    }
}

/// Where a value stands: the object around it, the mapping that holds it by its key there, and its own key.
struct Place<'d> {
    object: Option<NodeId>,
    field: &'d str,
    key: &'d str,
}

impl<'d> Place<'d> {
    fn of(document: &'d Document<'_>, id: NodeId) -> Place<'d> {
        let key_of = |id: NodeId| if id != NONE && document.node(id).role == Role::Value { document.key_text(id - 1) } else { "" };
        let holder = document.node(id).parent;
        let mut around = holder;
        while around != NONE && kubernetes::object(document, around).is_none() {
            around = document.node(around).parent;
        }
        Place { object: (around != NONE).then_some(around), field: key_of(holder), key: key_of(id) }
    }
}

fn secret_type<'d>(document: &'d Document<'_>, object: NodeId) -> &'d str {
    let is_secret = kubernetes::object(document, object).is_some_and(|object| decoded::is_secret(&object));
    document.get(object, "type").filter(|_| is_secret).map_or("", |id| document.text(id))
}

/// What the API server and tools expect under well-known names, whatever type the Secret says.
fn of_key(key: &str) -> &'static str {
    match key {
        ".dockerconfigjson" => DOCKER_CONFIG,
        ".dockercfg" => DOCKER_LOGIN,
        "ssh-privatekey" | "client-key-data" => KEY,
        "client-certificate-data" | "certificate-authority-data" => CERTIFICATE,
        _ => match key.rsplit_once('.').map_or("", |(_, ending)| ending) {
            "crt" | "pem" => CERTIFICATE,
            "key" => KEY,
            "json" | "yaml" | "yml" => "{}",
            _ => WORD,
        },
    }
}

/// The keys of a bootstrap token, which have patterns.
fn of_bootstrap_token(key: &str) -> Option<&'static str> {
    Some(match key {
        "token-id" => "placeh",
        "token-secret" => "placeholderplace",
        "expiration" => "2120-01-01T00:00:00Z",
        "auth-extra-groups" => "system:bootstrappers:placeholder",
        _ if key.starts_with("usage-bootstrap-") => "true",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::yaml::Yaml;

    const TOKEN: &str = "ENC[AES256_GCM,data:YQ==,iv:YQ==,tag:YQ==,type:str]";
    const BLOCK: &str = "sops:\n  age: [{enc: x, recipient: y}]\n  lastmodified: '2030-01-01T00:00:00Z'\n  version: 3.13.3\n";

    fn shown(plain: &str) -> String {
        text(&format!("{}{BLOCK}", plain.replace("TOKEN", TOKEN)), &Yaml).unwrap().to_string()
    }

    #[test]
    fn types_and_layout_stay() {
        let numbers = "# kept\na:   TOKEN # too\nb: [\"TOKEN\"]\nc: ENC[AES256_GCM,data:YQ==,iv:YQ==,tag:YQ==,type:int]\nd: null\ne: ''\n";
        assert_eq!(shown(numbers), "# kept\na:   placeholder # too\nb: [\"placeholder\"]\nc: 1\nd: null\ne: ''\n");
        for (kind, want) in [("float", "0.5"), ("bool", "true"), ("time", "2000-01-01T00:00:00Z"), ("int", "1")] {
            assert_eq!(shown(&format!("a: {}\n", TOKEN.replace("str", kind))), format!("a: {want}\n"));
        }
        assert_eq!(shown(&format!("#{}\na: 1\n", TOKEN.replace("str", "comment"))), "# placeholder\na: 1\n");
    }

    #[test]
    fn data_of_a_secret_is_base64_and_well_known_keys_have_their_shape() {
        let head = "apiVersion: v1\nkind: Secret\n";
        let decoded = |plain: &str| -> String {
            let text = shown(&format!("{head}{plain}"));
            let document = crate::document::yaml::parse(&text).unwrap();
            let data = document.get(document.get(0, "data").unwrap(), document.key_text(document.get(0, "data").unwrap() + 1)).unwrap();
            String::from_utf8(decoded::decode(document.text(data)).unwrap().to_vec()).unwrap()
        };
        assert_eq!(decoded("data:\n  password: TOKEN\n"), WORD);
        assert!(decoded("type: kubernetes.io/tls\ndata:\n  tls.crt: TOKEN\n").starts_with("-----BEGIN CERTIFICATE-----\n"));
        assert!(decoded("data:\n  tls.key: TOKEN\n").starts_with("-----BEGIN EC PRIVATE KEY-----\n"));
        let config: serde_json::Value = serde_json::from_str(&decoded("data:\n  .dockerconfigjson: TOKEN\n")).unwrap();
        assert!(config["auths"].is_object());
        assert_eq!(decoded("type: bootstrap.kubernetes.io/token\ndata:\n  token-id: TOKEN\n"), "placeh");
        assert_eq!(shown(&format!("{head}stringData:\n  password: TOKEN\n")), format!("{head}stringData:\n  password: placeholder\n"));
    }

    #[test]
    fn a_file_that_is_not_encrypted_is_refused() {
        assert!(text("a: 1\n", &Yaml).is_err());
    }
}
