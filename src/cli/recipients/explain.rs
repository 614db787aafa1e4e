//! `kveil recipients explain`: what has to be set up at a service, from templates that tests parse and apply.

use clap::Args as ClapArgs;

use crate::cli::report;
use crate::error::{Error, Kind, Result, printable};
use crate::recipient;

/// Show what has to be set up at a key service: the least permissions for people and pipelines, and GitHub's OIDC
///
/// With --part one template alone, to be piped into the service's own tool. Nothing is asked and nothing is changed.
#[derive(ClapArgs)]
pub struct Args {
    /// The service
    #[arg(value_name = "SERVICE", value_parser = ["aws", "gcp", "azure", "vault"])]
    service: String,
    /// The recipient to put in place of the example
    #[arg(long, value_name = "RECIPIENT")]
    recipient: Option<String>,
    /// The repository on GitHub whose workflows may open the files
    #[arg(long, value_name = "OWNER/NAME")]
    repository: Option<String>,
    /// Only this template, such as decrypt, encrypt or workflow
    #[arg(long, value_name = "NAME")]
    part: Option<String>,
}

/// A template.
struct Part {
    name: &'static str,
    /// What it is for, and the command that takes it.
    what: &'static str,
    text: &'static str,
}

/// A service: its word on the command line, the field of its kind, and what is set up there in this order.
struct Service {
    word: &'static str,
    field: &'static str,
    parts: &'static [Part],
    /// What of the example goes, in order, for a recipient of the kind.
    names: fn(&str) -> Vec<(&'static str, String)>,
}

/// A row: name, file, and what it is for.
macro_rules! part {
    ($name:literal, $file:literal, $what:literal) => {
        Part { name: $name, what: $what, text: include_str!(concat!("explain/", $file)) }
    };
}

const SERVICES: [Service; 4] = [
    Service {
        word: "aws",
        field: "kms",
        names: of_aws,
        parts: &[
            part!(
                "decrypt",
                "aws/decrypt.json",
                "Policy of who only opens files, such as a pipeline; without Condition where entries have no context:\naws iam put-role-policy --role-name kveil-deploy --policy-name decrypt --policy-document file://decrypt.json"
            ),
            part!("encrypt", "aws/encrypt.json", "Policy of who edits files; the context as above:"),
            part!(
                "trust",
                "aws/trust.json",
                "Who may take the pipeline's role: GitHub's workflows on one branch of one repository:\naws iam create-open-id-connect-provider --url https://token.actions.githubusercontent.com --client-id-list sts.amazonaws.com\naws iam create-role --role-name kveil-deploy --assume-role-policy-document file://trust.json"
            ),
            part!("workflow", "aws/workflow.yaml", "The workflow:"),
        ],
    },
    Service {
        word: "gcp",
        field: "gcp_kms",
        names: of_gcp,
        parts: &[
            part!(
                "decrypt",
                "gcp/decrypt.yaml",
                "Role of who only opens files, such as a pipeline:\ngcloud iam roles create kveilDecrypt --project PROJECT --file decrypt.yaml"
            ),
            part!(
                "encrypt",
                "gcp/encrypt.yaml",
                "Role of who edits files:\ngcloud iam roles create kveilEncrypt --project PROJECT --file encrypt.yaml"
            ),
            part!(
                "provider",
                "gcp/provider.yaml",
                "Whose tokens count: those of GitHub's workflows in one repository; the same as flags:\ngcloud iam workload-identity-pools create github --location global\ngcloud iam workload-identity-pools providers create-oidc github --location global --workload-identity-pool github --issuer-uri … --attribute-mapping … --attribute-condition …"
            ),
            part!(
                "binding",
                "gcp/binding.yaml",
                "What they may do, and for which branch; the number is the project's. This replaces who may use the key so far; to add to them, give role and member to\ngcloud kms keys add-iam-policy-binding in its place:\ngcloud kms keys set-iam-policy projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY binding.yaml"
            ),
            part!("workflow", "gcp/workflow.yaml", "The workflow:"),
        ],
    },
    Service {
        word: "azure",
        field: "azure_kv",
        names: of_azure,
        parts: &[
            part!(
                "decrypt",
                "azure/decrypt.json",
                "Role of who only opens files, such as a pipeline:\naz role definition create --role-definition decrypt.json\naz role assignment create --role 'kveil decrypt' --assignee CLIENT --scope \"$(az keyvault show --name VAULT --query id -o tsv)/keys/KEY\""
            ),
            part!(
                "encrypt",
                "azure/encrypt.json",
                "Role of who edits files; it reads which version of the key is the newest:\naz role definition create --role-definition encrypt.json"
            ),
            part!(
                "credential",
                "azure/credential.json",
                "Whose tokens stand for the application CLIENT: those of GitHub's workflows on one branch of one repository:\naz ad app federated-credential create --id CLIENT --parameters credential.json"
            ),
            part!("workflow", "azure/workflow.yaml", "The workflow:"),
        ],
    },
    Service {
        word: "vault",
        field: "hc_vault",
        names: of_vault,
        parts: &[
            part!(
                "decrypt",
                "vault/decrypt.hcl",
                "Policy of who only opens files, such as a pipeline:\nvault policy write kveil-decrypt decrypt.hcl"
            ),
            part!("encrypt", "vault/encrypt.hcl", "Policy of who edits files:\nvault policy write kveil-encrypt encrypt.hcl"),
            part!(
                "role",
                "vault/role.json",
                "Whose tokens count: those of GitHub's workflows on one branch of one repository:\nvault auth enable jwt\nvault write auth/jwt/config oidc_discovery_url=https://token.actions.githubusercontent.com bound_issuer=https://token.actions.githubusercontent.com\nvault write auth/jwt/role/kveil-deploy @role.json"
            ),
            part!("workflow", "vault/workflow.yaml", "The workflow:"),
        ],
    },
];

/// Prints the templates.
///
/// # Errors
/// `Generic` (1): the recipient isn't one of the service, or there is no such part.
pub fn run(args: &Args) -> Result<()> {
    let Some(service) = SERVICES.iter().find(|service| service.word == args.service) else {
        return Err(Error::new(Kind::Generic, format!("there is nothing to set up for {}", printable(&args.service))));
    };
    let names = names(service, args)?;
    let filled = |text: &str| names.iter().fold(text.to_owned(), |text, (example, own)| text.replace(example, own));
    if let Some(wanted) = &args.part {
        let part = service.parts.iter().find(|part| part.name == wanted).ok_or_else(|| no_part(service, wanted))?;
        return report::data(filled(part.text).as_bytes());
    }
    let section = |part: &Part| {
        let what: String =
            part.what.lines().enumerate().map(|(at, line)| format!("#{}{line}\n", if at == 0 { " " } else { "   " })).collect();
        filled(&format!("{what}{}", part.text))
    };
    report::data(service.parts.iter().map(section).collect::<Vec<_>>().join("\n").as_bytes())
}

fn no_part(service: &Service, wanted: &str) -> Error {
    let names: Vec<&str> = service.parts.iter().map(|part| part.name).collect();
    Error::new(Kind::Generic, format!("there is no part {} of {}", printable(wanted), service.word))
        .hint(format!("expected one of {}", names.join(", ")))
}

/// What goes in place of the examples.
fn names(service: &Service, args: &Args) -> Result<Vec<(&'static str, String)>> {
    let mut names = Vec::new();
    if let Some(text) = &args.recipient {
        let spec = recipient::read(text).ok().filter(|spec| spec.kind == service.field && is_plain(&spec.text));
        let parts = spec.map(|spec| (service.names)(&spec.text)).filter(|parts| !parts.is_empty());
        names = parts.ok_or_else(|| Error::new(Kind::Generic, format!("not a recipient of {}: {}", service.word, printable(text))))?;
    }
    if let Some(repository) = &args.repository {
        let (owner, _) = repository
            .split_once('/')
            .filter(|(owner, name)| !owner.is_empty() && !name.contains('/') && is_plain(repository))
            .ok_or_else(|| Error::new(Kind::Generic, format!("not a repository: {}", printable(repository))).hint("expected OWNER/NAME"))?;
        names.extend([("OWNER/REPOSITORY", repository.clone()), ("OWNER", owner.to_owned())]);
    }
    Ok(names)
}

/// Whether a text can stand in JSON, YAML and HCL as it is.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./:+@%".contains(&byte))
}

fn of_aws(arn: &str) -> Vec<(&'static str, String)> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let &[_, partition, _, region, account, _] = &parts[..] else { return Vec::new() };
    vec![
        ("arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab", arn.to_owned()),
        ("arn:aws:iam::111122223333", format!("arn:{partition}:iam::{account}")),
        ("eu-central-1", region.to_owned()),
    ]
}

fn of_gcp(resource: &str) -> Vec<(&'static str, String)> {
    let Some(project) = resource.strip_prefix("projects/").and_then(|rest| rest.split('/').next()) else { return Vec::new() };
    vec![
        ("projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY", resource.to_owned()),
        ("projects/PROJECT/", format!("projects/{project}/")),
        ("--project PROJECT", format!("--project {project}")),
    ]
}

fn of_azure(url: &str) -> Vec<(&'static str, String)> {
    let vault = url.split_once("://").and_then(|(_, rest)| rest.split('.').next());
    let key = url.split_once("/keys/").and_then(|(_, rest)| rest.split('/').next());
    let (Some(vault), Some(key)) = (vault, key) else { return Vec::new() };
    vec![("--name VAULT", format!("--name {vault}")), ("/keys/KEY", format!("/keys/{key}"))]
}

fn of_vault(uri: &str) -> Vec<(&'static str, String)> {
    let Some((address, path)) = uri.split_once("/v1/") else { return Vec::new() };
    let Some((engine, key)) = path.trim_end_matches('/').rsplit_once("/keys/") else { return Vec::new() };
    vec![
        ("\"transit/encrypt/sops\"", format!("\"{engine}/encrypt/{key}\"")),
        ("\"transit/decrypt/sops\"", format!("\"{engine}/decrypt/{key}\"")),
        ("https://vault.example.com:8200", address.to_owned()),
    ]
}
