//! Addresses of values files, in the notation of helm-secrets: `secrets://[?][BACKEND!]FILE`, with a key to import in
//! front of it, or with the text itself.

use zeroize::Zeroizing;

use crate::error::{Error, Kind, Result};

/// All schemes, as plugin files list them.
pub const SCHEMES: [&str; 8] = [
    "secrets",
    "secrets+age-import",
    "secrets+age-import-kubernetes",
    "secrets+gpg-import",
    "secrets+gpg-import-kubernetes",
    "secrets+literal",
    // Old names of helm-secrets.
    "secret",
    "sops",
];

/// Backends of helm-secrets that other programs stand behind: a `!` after any other word belongs to the file's name.
const FOREIGN: [&str; 6] = ["vals", "vault", "doppler", "envsubst", "gopass", "onepassword"];
/// How often an address may stand within another one.
const NESTED: usize = 4;

/// A key to decrypt with, beside those at hand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Import {
    /// Which kind of key.
    pub tool: Tool,
    /// Where it is.
    pub place: Place,
}

/// Kinds of keys that can be imported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tool {
    /// age identities.
    Age,
    /// A PGP private key.
    Gpg,
}

impl Tool {
    /// The word in helm-secrets's scheme and variables.
    pub fn word(self) -> &'static str {
        match self {
            Tool::Age => "age",
            Tool::Gpg => "gpg",
        }
    }
}

/// Where a key to import is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// In a file.
    File(String),
    /// In a Secret of the cluster.
    Cluster {
        /// Its namespace; the current one if none is named.
        namespace: Option<String>,
        /// Its name.
        name: String,
        /// The key in its `data`.
        key: String,
    },
}

/// What is wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// A file.
    File(Values),
    /// A text in the address itself.
    Literal(String),
}

/// A values file, as it is named.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Values {
    /// The path, or the address of a remote file.
    pub path: String,
    /// Whether it may be missing.
    pub optional: bool,
    /// Whether it is given as it is, encrypted or not (backend `noop`).
    pub verbatim: bool,
}

impl Values {
    /// Reads `[?][BACKEND!]FILE`; `default` is the backend of files without one.
    ///
    /// # Errors
    /// `Generic` (1) for a backend that kveil doesn't have, and for an empty name.
    pub fn read(text: &str, default: Option<&str>) -> Result<Values> {
        let (optional, rest) = text.strip_prefix('?').map_or((false, text), |rest| (true, rest));
        let named = rest.split_once('!').filter(|(word, _)| is_backend(word));
        let (backend, path) = named.map_or((default.unwrap_or("sops"), rest), |(backend, path)| (backend, path));
        if path.is_empty() {
            return Err(unreadable("it names no file"));
        }
        let verbatim = match backend {
            "sops" => false,
            "noop" => true,
            other => return Err(foreign(other)),
        };
        Ok(Values { path: path.to_owned(), optional, verbatim })
    }

    /// The scheme of a remote file.
    pub fn scheme(&self) -> Option<&str> {
        let (scheme, _) = self.path.split_once("://")?;
        scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)).then_some(scheme)
    }
}

/// An address, read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address {
    /// Keys to import before.
    pub imports: Vec<Import>,
    /// What is wanted.
    pub wanted: Wanted,
}

impl Address {
    /// Reads an address. One may stand within another: `secrets+age-import:///key?secrets://values.yaml`.
    ///
    /// # Errors
    /// `Generic` (1) for another scheme, a form that isn't whole, and a backend that kveil doesn't have.
    pub fn read(text: &str, default: Option<&str>) -> Result<Address> {
        let mut imports = Vec::new();
        let mut rest = text;
        let mut optional = false;
        for _ in 0..NESTED {
            let Some((scheme, after)) = split(rest) else { break };
            match scheme {
                "secrets+literal" => return Ok(Address { imports, wanted: Wanted::Literal(literal(after)?) }),
                "secrets" | "secret" | "sops" => rest = after,
                _ => {
                    let (import, after) = import(scheme, after)?;
                    imports.push(import);
                    rest = after;
                }
            }
            // A mark before an address within counts for the file behind it.
            if let Some(inner) = rest.strip_prefix('?').filter(|inner| split(inner).is_some()) {
                (rest, optional) = (inner, true);
            }
        }
        if rest == text {
            return Err(unreadable(&format!("expected one of {}", SCHEMES.map(|scheme| format!("{scheme}://")).join(", "))));
        }
        let mut values = Values::read(rest, default)?;
        values.optional |= optional;
        Ok(Address { imports, wanted: Wanted::File(values) })
    }
}

/// The address of a remote file with its `${NAME}` filled in, as helm-secrets does it if `HELM_SECRETS_URL_VARIABLE_EXPANSION` is true.
///
/// # Errors
/// `Generic` (1) for a variable that isn't set, and for any other form of the shell.
pub fn expanded(address: &str, value: impl Fn(&str) -> Option<String>) -> Result<Zeroizing<String>> {
    let mut pieces = address.split("${");
    let mut text = Zeroizing::new(pieces.next().unwrap_or_default().to_owned());
    for piece in pieces {
        let named = piece.split_once('}').filter(|(name, _)| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
        let Some((name, rest)) = named else { return Err(unreadable("expected ${NAME}, the name of a variable in braces")) };
        let value = value(name).map(Zeroizing::new);
        let value = value.ok_or_else(|| Error::new(Kind::Generic, format!("the variable {name} isn't set")))?;
        text.push_str(&value);
        text.push_str(rest);
    }
    Ok(text)
}

/// An address of these schemes, in scheme and rest.
pub fn split(text: &str) -> Option<(&str, &str)> {
    text.split_once("://").filter(|(scheme, _)| SCHEMES.contains(scheme))
}

fn import<'t>(scheme: &str, text: &'t str) -> Result<(Import, &'t str)> {
    let Some((key, rest)) = text.split_once('?') else {
        return Err(unreadable("expected the key, a question mark and the file"));
    };
    let tool = if scheme.contains("+age-") { Tool::Age } else { Tool::Gpg };
    let place = if scheme.ends_with("-kubernetes") { in_cluster(key)? } else { Place::File(key.to_owned()) };
    if matches!(&place, Place::File(path) if path.is_empty()) {
        return Err(unreadable("it names no key"));
    }
    Ok((Import { tool, place }, rest))
}

/// `[NAMESPACE/]SECRET#KEY`.
fn in_cluster(text: &str) -> Result<Place> {
    let named = text.split_once('#').filter(|(secret, key)| !secret.is_empty() && !key.is_empty());
    let Some((secret, key)) = named else { return Err(unreadable("expected NAMESPACE/SECRET#KEY before the question mark")) };
    let (namespace, name) = secret.split_once('/').map_or((None, secret), |(namespace, name)| (Some(namespace.to_owned()), name));
    Ok(Place::Cluster { namespace, name: name.to_owned(), key: key.to_owned() })
}

fn literal(text: &str) -> Result<String> {
    match text.split_once('!').filter(|(word, _)| is_backend(word)) {
        None => Ok(text.to_owned()),
        Some(("sops" | "noop", rest)) => Ok(rest.to_owned()),
        Some((other, _)) => Err(foreign(other)),
    }
}

fn is_backend(word: &str) -> bool {
    word == "sops" || word == "noop" || FOREIGN.contains(&word)
}

fn foreign(backend: &str) -> Error {
    let error = Error::new(Kind::Generic, format!("the helm-secrets backend {backend} isn't kveil's: it has sops and noop"));
    error.hint("keep helm-secrets for such files, or encrypt the values with kveil encrypt")
}

fn unreadable(why: &str) -> Error {
    let error = Error::new(Kind::Generic, format!("the address can't be read: {why}"));
    error.hint("forms are secrets://FILE, secrets://?FILE, secrets+age-import:///KEY?FILE")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (String, bool, bool) {
        match Address::read(text, None).unwrap().wanted {
            Wanted::File(Values { path, optional, verbatim }) => (path, optional, verbatim),
            Wanted::Literal(text) => panic!("{text} is a literal"),
        }
    }

    fn plain(path: &str) -> (String, bool, bool) {
        (path.to_owned(), false, false)
    }

    #[test]
    fn files_may_be_optional_and_name_a_backend() {
        assert_eq!(file("secrets://a/b.yaml"), plain("a/b.yaml"));
        assert_eq!(file("secrets:///a/b.yaml"), plain("/a/b.yaml"));
        assert_eq!(file("sops://a.yaml"), plain("a.yaml"));
        assert_eq!(file("secrets://?a.yaml"), ("a.yaml".to_owned(), true, false));
        assert_eq!(file("secrets://?sops!a.yaml"), ("a.yaml".to_owned(), true, false));
        assert_eq!(file("secrets://noop!a.yaml"), ("a.yaml".to_owned(), false, true));
        assert_eq!(file("secrets://wow!.yaml"), plain("wow!.yaml"));
        for foreign in ["secrets://vals!a.yaml", "secrets+literal://vals!ref+file://x"] {
            assert!(Address::read(foreign, None).unwrap_err().message.contains("vals"), "{foreign}");
        }
        assert!(Address::read("secrets://a.yaml", Some("vals")).is_err());
        assert!(Address::read("secrets://sops!a.yaml", Some("vals")).is_ok());
    }

    #[test]
    fn keys_are_imported_from_files_and_from_the_cluster() {
        let imports = |text: &str| Address::read(text, None).unwrap().imports;
        let of = |tool, place| vec![Import { tool, place }];
        assert_eq!(imports("secrets+age-import:///k/key.txt?a.yaml"), of(Tool::Age, Place::File("/k/key.txt".into())));
        assert_eq!(imports("secrets+gpg-import://key.asc?a.yaml"), of(Tool::Gpg, Place::File("key.asc".into())));
        let place = |namespace: Option<&str>| Place::Cluster {
            namespace: namespace.map(str::to_owned),
            name: "keys".into(),
            key: "age.txt".into(),
        };
        assert_eq!(imports("secrets+age-import-kubernetes://argocd/keys#age.txt?a.yaml"), of(Tool::Age, place(Some("argocd"))));
        assert_eq!(imports("secrets+age-import-kubernetes://keys#age.txt?a.yaml"), of(Tool::Age, place(None)));
        assert_eq!(file("secrets+age-import:///k?a?b.yaml"), plain("a?b.yaml"));
        assert_eq!(file("secrets+age-import:///k??a.yaml"), ("a.yaml".to_owned(), true, false));
    }

    #[test]
    fn an_address_may_stand_within_another() {
        assert_eq!(file("secrets+age-import:///k?secrets://?a.yaml"), ("a.yaml".to_owned(), true, false));
        assert_eq!(file("secrets+age-import:///k??secrets://a.yaml"), ("a.yaml".to_owned(), true, false));
        assert_eq!(file("secrets://secrets://a.yaml"), plain("a.yaml"));
        let remote = Address::read("secrets://https://example.com/a.yaml?x=1", None).unwrap().wanted;
        assert!(matches!(remote, Wanted::File(values) if values.scheme() == Some("https")));
    }

    #[test]
    fn variables_in_braces_are_filled_in() {
        let value = |name: &str| (name == "TOKEN").then(|| "t0k".to_owned());
        assert_eq!(&**expanded("https://${TOKEN}@x/$TOKEN?a={b}", value).unwrap(), "https://t0k@x/$TOKEN?a={b}");
        for bad in ["https://${OTHER}@x", "https://${TOKEN", "https://${TOKEN:-x}", "https://${}"] {
            assert!(expanded(bad, value).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let bad = [
            "a.yaml",
            "http://a",
            "secrets://",
            "secrets://?",
            "secrets+age-import:///k",
            "secrets+age-import-kubernetes://x?a",
            "secrets+age-import://?a",
        ];
        for text in bad {
            assert!(Address::read(text, None).is_err(), "{text}");
        }
    }
}
