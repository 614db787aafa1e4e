//! Flags that several commands share, under sops's names.

use clap::Args;

use super::argv;
use super::context::Context;
use crate::document::detect::BINARY;
use crate::document::json::Json;
use crate::document::{self, Format};
use crate::error::{Error, Kind, Result};
use crate::metadata::SelectorKind;
use crate::recipient::{self, RecipientSpec};
use crate::sorting;

/// Flags of every command.
#[derive(Args, Default)]
pub struct Common {
    /// Configuration file; without it `.sops.yaml` is looked for
    #[arg(long, value_name = "FILE", env = "SOPS_CONFIG", hide_env = true)]
    pub config: Option<String>,
    /// Columns a level of what is printed or added
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = argv::whole::<i64>)]
    pub indent: Option<i64>,
    /// Say more on stderr
    #[arg(long, short = 'v')]
    pub verbose: bool,
    /// Never use the network: recipients whose key lies with a service aren't asked
    #[arg(long, env = "KVEIL_OFFLINE", hide_env = true, value_parser = clap::builder::FalseyValueParser::new())]
    pub offline: bool,
    #[arg(long, hide = true)]
    disable_version_check: bool,
    #[arg(long, hide = true)]
    check_for_updates: bool,
    #[arg(long, hide = true, env = "SOPS_KEYSERVICE", hide_env = true)]
    keyservice: Vec<String>,
    #[arg(
        long,
        hide = true,
        num_args = 0..=1,
        default_missing_value = "true",
        require_equals = true,
        env = "SOPS_ENABLE_LOCAL_KEYSERVICE",
        hide_env = true
    )]
    enable_local_keyservice: Option<String>,
}

impl Common {
    /// Refuses what this build can't do, rather than ignoring it: for verbs that open a file.
    ///
    /// # Errors
    /// `Generic` (1) for a key service, `NoDataKey` (128) if local keys are switched off and so none is left.
    pub fn check(&self) -> Result<()> {
        self.without_local_keys(Kind::NoDataKey, "Failed to get the data key required to decrypt the SOPS file.")
    }

    /// As [`Common::check`], for a verb that only wraps.
    ///
    /// # Errors
    /// `Generic` (1).
    pub fn check_wrapping(&self) -> Result<()> {
        self.without_local_keys(Kind::Generic, "Could not generate data key: no key services provided")
    }

    fn without_local_keys(&self, kind: Kind, message: &str) -> Result<()> {
        if self.keyservice.iter().any(|address| !address.is_empty()) {
            return Err(Error::new(Kind::Generic, "key services aren't supported by this version")
                .hint("leave out --keyservice and SOPS_KEYSERVICE"));
        }
        match self.enable_local_keyservice.as_deref().filter(|text| !text.is_empty()).map(argv::truth) {
            None | Some(Some(true)) => Ok(()),
            Some(Some(false)) => Err(Error::new(kind, message)
                .hint("local keys are switched off by --enable-local-keyservice=false or SOPS_ENABLE_LOCAL_KEYSERVICE=false")),
            Some(None) => Err(Error::new(Kind::Generic, "--enable-local-keyservice and its variable take true or false")),
        }
    }

    /// Has every kveil that `command` starts, itself or through others, go by the same flags.
    pub fn hand_on(&self, order: &DecryptionOrder, command: &mut std::process::Command) {
        let offline = self.offline.then_some("true");
        let texts = [("KVEIL_OFFLINE", offline), ("SOPS_CONFIG", self.config.as_deref()), (ORDER, order.decryption_order.as_deref())];
        command.envs(texts.iter().filter_map(|(name, text)| Some((name, (*text)?))));
    }

    /// The columns a level in `format`, if any were asked for. What yaml.v3 can't indent by it takes for 2; -1 is sops's word
    /// for the tab of JSON.
    ///
    /// # Errors
    /// `Emit` (4) for other negative numbers, as in sops.
    pub fn indent(&self, format: &dyn Format) -> Result<Option<usize>> {
        let columns = self.indent.map(usize::try_from).transpose();
        match (format.name(), columns) {
            ("yaml", Ok(Some(columns))) => Ok(Some(if columns == 1 || columns > 9 { 2 } else { columns })),
            (_, Ok(columns)) => Ok(columns),
            ("json" | "binary", Err(_)) if self.indent == Some(-1) => Ok(None),
            (_, Err(_)) => Err(Error::new(Kind::Emit, "--indent can't be negative").hint("give 2 to 9, or leave it out")),
        }
    }
}

/// Formats of input and output.
#[derive(Args, Default)]
pub struct Types {
    /// Format of the input, whatever its name: yaml, json, dotenv, ini or binary
    #[arg(long, value_name = "FORMAT")]
    pub input_type: Option<String>,
    /// Format of the output
    #[arg(long, value_name = "FORMAT")]
    pub output_type: Option<String>,
    /// The file name to go by, for configuration and format, when the input is standard input
    #[arg(long, value_name = "NAME")]
    pub filename_override: Option<String>,
}

impl Types {
    /// The format of an encrypted file: by flag, else by name, else by what the text looks like, else binary. A word that
    /// names no format counts as none (sops).
    ///
    /// # Errors
    /// None; commands need no other way to say so.
    pub fn input(&self, name: &str, text: &str) -> Result<&'static dyn Format> {
        Ok(self.format(name, text))
    }

    /// As [`Types::input`].
    pub fn format(&self, name: &str, text: &str) -> &'static dyn Format {
        self.named(name).or_else(|| document::format_by_text(text)).unwrap_or(&BINARY)
    }

    /// The format of a plain file: as that of an encrypted one, but its text says nothing, unless it is encrypted already:
    /// then it is read as such, and refused, where `careful`.
    pub fn plain_input(&self, name: &str, bytes: &[u8], careful: bool) -> &'static dyn Format {
        let encrypted = || std::str::from_utf8(bytes).ok().filter(|_| careful).and_then(document::format_by_text);
        self.named(name).or_else(encrypted).unwrap_or(&BINARY)
    }

    fn named(&self, name: &str) -> Option<&'static dyn Format> {
        let name = self.filename_override.as_deref().unwrap_or(name);
        self.input_type.as_deref().and_then(document::format_by_name).or_else(|| document::format_by_path(name))
    }

    /// The format to write, where the file's name doesn't matter.
    ///
    /// # Errors
    /// None; commands need no other way to say so.
    pub fn output(&self, input: &'static dyn Format) -> Result<&'static dyn Format> {
        Ok(self.output_type.as_deref().and_then(document::format_by_name).unwrap_or(input))
    }

    /// The format to write: by flag, else by the name of the input, as in sops, else that of the input; where `strict`,
    /// binary as in sops.
    pub fn output_of(&self, name: &str, input: &'static dyn Format, strict: bool) -> &'static dyn Format {
        let name = self.filename_override.as_deref().unwrap_or(name);
        let wanted = self.output_type.as_deref().and_then(document::format_by_name);
        wanted.or_else(|| document::format_by_path(name)).unwrap_or(if strict { &BINARY } else { input })
    }
}

/// The format that a file of `input` is encrypted in where `output` is asked for: around a tree sops's binary output is plain
/// JSON, with an indent of its own.
pub fn around(input: &dyn Format, output: &'static dyn Format) -> &'static dyn Format {
    if output.is_bytes() && !input.is_bytes() { &Json } else { output }
}

/// The variable that says the same.
const ORDER: &str = "SOPS_DECRYPTION_ORDER";

/// Which kinds of recipients are asked first.
#[derive(Args, Default)]
pub struct DecryptionOrder {
    /// Kinds of recipients in the order to try them, joined by commas
    #[arg(long, value_name = "KINDS", env = ORDER, hide_env = true)]
    decryption_order: Option<String>,
}

impl DecryptionOrder {
    /// The words between the commas, as sops takes them: unknown ones and blanks included. None if nothing is said.
    ///
    /// # Errors
    /// `DuplicateOrder` (112) for a word that stands there twice.
    pub fn kinds(&self) -> Result<Vec<String>> {
        let Some(list) = self.decryption_order.as_deref().filter(|list| !list.is_empty()) else { return Ok(Vec::new()) };
        let mut kinds: Vec<String> = Vec::new();
        for kind in list.split(',') {
            if kinds.iter().any(|known| known == kind) {
                return Err(Error::new(Kind::DuplicateOrder, format!("duplicate decryption key type: {kind}"))
                    .hint("name each kind of recipient once, such as age,pgp"));
            }
            kinds.push(kind.to_owned());
        }
        Ok(kinds)
    }
}

/// Recipients, by kind; lists are joined by commas.
#[derive(Args, Default)]
pub struct Recipients {
    /// age recipients (age1…, lines of ssh public keys), joined by commas
    #[arg(long, short = 'a', value_name = "RECIPIENTS", help_heading = "Recipients")]
    pub age: Vec<String>,
    /// PGP fingerprints
    #[arg(long, short = 'p', value_name = "FINGERPRINTS", help_heading = "Recipients")]
    pub pgp: Vec<String>,
    /// AWS KMS key ARNs
    #[arg(long, short = 'k', value_name = "ARNS", help_heading = "Recipients")]
    pub kms: Vec<String>,
    /// AWS profile for the KMS keys
    #[arg(long, value_name = "PROFILE", help_heading = "Recipients")]
    pub aws_profile: Option<String>,
    /// Encryption context for the KMS keys: key:value pairs
    #[arg(long, value_name = "PAIRS", help_heading = "Recipients")]
    pub encryption_context: Option<String>,
    /// GCP KMS resource ids
    #[arg(long, value_name = "IDS", help_heading = "Recipients")]
    pub gcp_kms: Vec<String>,
    /// Huawei Cloud KMS key ids
    #[arg(long, value_name = "IDS", help_heading = "Recipients")]
    pub hckms: Vec<String>,
    /// Azure Key Vault key URLs
    #[arg(long, value_name = "URLS", help_heading = "Recipients")]
    pub azure_kv: Vec<String>,
    /// HashiCorp Vault transit key URIs
    #[arg(long, value_name = "URIS", help_heading = "Recipients")]
    pub hc_vault_transit: Vec<String>,
    /// How many key groups must be opened
    #[arg(long, value_name = "N", value_parser = argv::whole::<usize>, help_heading = "Recipients")]
    pub shamir_secret_sharing_threshold: Option<usize>,
}

impl Recipients {
    /// The recipients of flags and environment, as one key group in sops's order of kinds.
    ///
    /// # Errors
    /// A recipient that its kind refuses.
    pub fn group(&self, context: &Context) -> Result<Vec<RecipientSpec>> {
        self.specs("", |variable| context.environment.var(variable))
    }

    /// The recipients of flags alone, whose names begin with `prefix` (`add-`).
    ///
    /// # Errors
    /// A recipient that its kind refuses, with the flag.
    pub fn given(&self, prefix: &str) -> Result<Vec<RecipientSpec>> {
        self.specs(prefix, |_| None)
    }

    fn specs(&self, prefix: &str, variable_of: impl Fn(&str) -> Option<String>) -> Result<Vec<RecipientSpec>> {
        let kinds: [(&str, &str, &[String], &str); 7] = [
            ("kms", "kms", &self.kms, "SOPS_KMS_ARN"),
            ("gcp_kms", "gcp-kms", &self.gcp_kms, "SOPS_GCP_KMS_IDS"),
            ("hckms", "hckms", &self.hckms, "SOPS_HUAWEICLOUD_KMS_IDS"),
            ("azure_kv", "azure-kv", &self.azure_kv, "SOPS_AZURE_KEYVAULT_URLS"),
            ("hc_vault", "hc-vault-transit", &self.hc_vault_transit, "SOPS_VAULT_URIS"),
            ("pgp", "pgp", &self.pgp, "SOPS_PGP_FP"),
            ("age", "age", &self.age, "SOPS_AGE_RECIPIENTS"),
        ];
        let mut group = Vec::new();
        for (field, flag, flags, variable) in kinds {
            let (lists, place) = match flags {
                [] => (variable_of(variable).into_iter().collect(), variable.to_owned()),
                flags => (flags.to_vec(), format!("--{prefix}{flag}")),
            };
            let Some(kind) = recipient::kind_by_field(field) else { continue };
            for text in lists.iter().flat_map(|list| list.split(',')).map(str::trim).filter(|text| !text.is_empty()) {
                let spec = kind.parse(text);
                group.push(spec.map_err(|error| error.about(&place))?);
            }
        }
        let pairs = self.context()?;
        let profile = self.aws_profile.as_ref().filter(|profile| !profile.is_empty());
        for spec in group.iter_mut().filter(|spec| spec.kind == "kms") {
            spec.extra.extend(profile.map(|profile| ("aws_profile".to_owned(), profile.clone())));
            spec.add_context(&pairs);
        }
        Ok(group)
    }

    /// The encryption context, sorted: `key:value` pairs joined by commas, of a key given twice the last (sops).
    ///
    /// # Errors
    /// `BadContext` (6).
    pub fn context(&self) -> Result<Vec<(String, String)>> {
        let Some(list) = self.encryption_context.as_deref().filter(|list| !list.is_empty()) else { return Ok(Vec::new()) };
        let bad = || {
            Error::new(Kind::BadContext, "invalid KMS encryption context format")
                .hint("expected key:value pairs joined by commas, such as app:web,stage:prod")
        };
        let pair = |text: &str| match text.split(':').collect::<Vec<_>>()[..] {
            [key, value] => Ok((format!("context.{key}"), value.to_owned())),
            _ => Err(bad()),
        };
        let mut pairs: Vec<(String, String)> = list.split(',').map(pair).collect::<Result<_>>()?;
        pairs.reverse();
        sorting::by(&mut pairs, |(one, _), (other, _)| one.cmp(other));
        pairs.dedup_by(|(one, _), (other, _)| one == other);
        Ok(pairs)
    }
}

/// Which values are encrypted.
#[derive(Args, Default)]
pub struct Selectors {
    /// All but keys with this suffix
    #[arg(long, value_name = "SUFFIX", help_heading = "Which values")]
    pub unencrypted_suffix: Option<String>,
    /// Only keys with this suffix
    #[arg(long, value_name = "SUFFIX", help_heading = "Which values")]
    pub encrypted_suffix: Option<String>,
    /// All but keys that match
    #[arg(long, value_name = "REGEX", help_heading = "Which values")]
    pub unencrypted_regex: Option<String>,
    /// Only keys that match
    #[arg(long, value_name = "REGEX", help_heading = "Which values")]
    pub encrypted_regex: Option<String>,
    /// All but values whose comment matches
    #[arg(long, value_name = "REGEX", help_heading = "Which values")]
    pub unencrypted_comment_regex: Option<String>,
    /// Only values whose comment matches
    #[arg(long, value_name = "REGEX", help_heading = "Which values")]
    pub encrypted_comment_regex: Option<String>,
}

impl Selectors {
    /// The one selector that was given.
    ///
    /// # Errors
    /// `ConflictingFlags` (8) for two.
    pub fn chosen(&self) -> Result<Option<(SelectorKind, String)>> {
        let all = [
            (SelectorKind::UnencryptedSuffix, &self.unencrypted_suffix),
            (SelectorKind::EncryptedSuffix, &self.encrypted_suffix),
            (SelectorKind::UnencryptedRegex, &self.unencrypted_regex),
            (SelectorKind::EncryptedRegex, &self.encrypted_regex),
            (SelectorKind::UnencryptedCommentRegex, &self.unencrypted_comment_regex),
            (SelectorKind::EncryptedCommentRegex, &self.encrypted_comment_regex),
        ];
        let mut given = all.into_iter().filter_map(|(kind, text)| Some((kind, text.clone().filter(|text| !text.is_empty())?)));
        let first = given.next();
        match given.next() {
            None => Ok(first),
            Some((second, _)) => Err(conflict(first.map_or("", |(kind, _)| kind.name()), second.name())),
        }
    }
}

/// Two rules about which values to encrypt.
pub fn conflict(first: &str, second: &str) -> Error {
    Error::new(Kind::ConflictingFlags, format!("{first} and {second} exclude each other")).hint("give one of them")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipient::Environment;

    fn context() -> Context {
        let mut context = Context::of_process("kveil", false);
        context.environment = Environment::fixed([("SOPS_GCP_KMS_IDS", "projects/p/ k, ")]);
        context
    }

    #[test]
    fn keys_of_aws_carry_role_context_and_profile_in_this_order() {
        let recipients = Recipients {
            kms: vec!["arn:aws:kms:r:1:key/a+arn:aws:iam::1:role/r, arn:aws:kms:r:1:key/b".to_owned()],
            pgp: vec!["97C5A80A0101996640EF AD0FEF8D840356324056".to_owned()],
            aws_profile: Some("prod".to_owned()),
            encryption_context: Some("b:2,a:1,b:3".to_owned()),
            ..Recipients::default()
        };
        let group = recipients.group(&context()).unwrap();
        let extra = |at: usize| group[at].extra.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
        assert_eq!(extra(0), ["role=arn:aws:iam::1:role/r", "context.a=1", "context.b=3", "aws_profile=prod"]);
        assert_eq!(extra(1), ["context.a=1", "context.b=3", "aws_profile=prod"]);
        assert_eq!(group.iter().map(|spec| spec.kind).collect::<Vec<_>>(), ["kms", "kms", "gcp_kms", "pgp"]);
        assert_eq!((group[2].text.as_str(), group[3].text.as_str()), ("projects/p/k", "97C5A80A0101996640EFAD0FEF8D840356324056"));
        assert!(group[2].extra.is_empty() && group[3].extra.is_empty());
    }
}
