//! `kveil edit`.

use std::ffi::OsStr;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use zeroize::Zeroizing;

use super::consent::Consent;
use super::context::Context;
use super::earlier::{refuse_clear_anew, refuse_cleared};
use super::editor::Editor;
use super::flags::{Common, DecryptionOrder, Recipients, Selectors, Types};
use super::settings::{self, Asked, Configs, Decision};
use super::{clock, git, identities, report};
use crate::config::cleaned;
use crate::document::edit::Edits;
use crate::document::{Document, Format, bytes, example};
use crate::error::{Error, Kind, Result};
use crate::kubernetes::decoded;
use crate::metadata;
use crate::pipeline::disclosed::disclosed;
use crate::pipeline::{self, next};
use crate::recipient::RecipientSpec;
use crate::seal::decrypt::is_encrypted;
use crate::select::Selection;
use crate::source::private::{Places, Private};
use crate::source::{self, Source, signals};

const UNCHANGED: &str = "File has not changed, exiting.";

/// Edit an encrypted file in the editor of SOPS_EDITOR or EDITOR
///
/// The `data` of a Secret is shown decoded. What isn't changed keeps its bytes in the encrypted file; unchanged text leaves
/// the file as it is (200). A file that doesn't exist starts with an example and is encrypted as `encrypt` would.
#[derive(ClapArgs)]
pub struct Args {
    /// The file
    file: Option<String>,
    /// Show `data` of Secrets as it stands, in base64
    #[arg(long)]
    raw: bool,
    /// Show the sops block too; it can't be changed there
    #[arg(long, short)]
    show_master_keys: bool,
    /// Don't compare the MAC: the edited file gets a new one
    #[arg(long)]
    ignore_mac: bool,
    /// Write into the file itself where it can't be replaced in one step (a bind mount, hard links)
    #[arg(long)]
    write_through: bool,
    /// Let values that the file holds encrypted come into clear
    #[arg(long)]
    allow_clear: bool,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    order: DecryptionOrder,
    #[command(flatten)]
    types: Types,
    #[command(flatten)]
    recipients: Recipients,
    #[command(flatten)]
    selectors: Selectors,
    #[arg(long, hide = true)]
    mac_only_encrypted: bool,
    #[command(flatten)]
    common: Common,
}

/// Edits.
///
/// # Errors
/// `Unchanged` (200), `Editor` (201), an invalid text off a terminal (2), and those of decrypting and encrypting.
pub fn run(context: &Context, args: &Args) -> Result<()> {
    args.common.check()?;
    let Some(name) = args.file.as_deref() else {
        return Err(Error::new(Kind::NoFile, "no file specified").hint("name the file to edit"));
    };
    if context.is_sops() {
        signals::end_with(Kind::Generic.exit_code());
    }
    let path = Path::new(name);
    let located = |error: Error| if error.kind == Kind::Unchanged { error } else { error.in_file(name) };
    let exists = path.exists() || path.is_symlink();
    if exists { existing(context, args, path) } else { new(context, args, path) }.map_err(located)
}

/// What the editor is run on.
struct Session<'c> {
    context: &'c Context,
    editor: Editor,
    private: Private,
    file: PathBuf,
    format: &'static dyn Format,
    shown: Zeroizing<String>,
}

impl<'c> Session<'c> {
    fn begin(context: &'c Context, target: &Path, format: &'static dyn Format, shown: Zeroizing<String>) -> Result<Session<'c>> {
        let private = Private::create(&Places { named: None, runtime: context.environment.path("XDG_RUNTIME_DIR") })?;
        if private.on_disk {
            let place = private.path().display();
            report::warning(context, &format!("there is no file system in memory: the text is on disk, in {place}, until the editor ends"));
        }
        let editor = Editor::find(&context.environment, private.path())?;
        let file = private.write(target.file_name().unwrap_or(OsStr::new("file")), &format.plain_bytes(&shown))?;
        Ok(Session { context, editor, private, file, format, shown })
    }

    /// Runs the editor until `accept` takes the text. At a terminal a text that it refuses is shown again, as it is.
    fn until_accepted<T>(self, accept: impl Fn(&str) -> Result<T>) -> Result<T> {
        loop {
            self.editor.run(&self.file)?;
            // By path: most editors put a new file in its place.
            let accepted = self
                .edited()
                .map_err(unreadable)
                .and_then(|edited| if edited == self.shown { Err(Error::new(Kind::Unchanged, UNCHANGED)) } else { accept(&edited) });
            match accepted {
                Err(error) if error.kind != Kind::Unchanged && is_attended(self.context) => self.ask_again(&error)?,
                other => return other,
            }
        }
    }

    fn edited(&self) -> Result<Zeroizing<String>> {
        let source = Source::File(self.file.clone());
        if self.format.is_bytes() { Ok(bytes::to_text(&source.read_bytes()?)) } else { source.read() }
    }

    fn ask_again(&self, error: &Error) -> Result<()> {
        report::error(self.context, &error.clone().in_file(&self.file_name()));
        report::usage("Press enter to return to the editor, or Ctrl+C to exit.");
        let mut answer = String::new();
        match std::io::stdin().read_line(&mut answer) {
            Ok(read) if read > 0 => Ok(()),
            _ => Err(error.clone()),
        }
    }

    fn file_name(&self) -> String {
        self.file.strip_prefix(self.private.path()).unwrap_or(&self.file).display().to_string()
    }
}

/// Whether a person can be asked.
fn is_attended(context: &Context) -> bool {
    context.terminal && std::io::stdin().is_terminal()
}

fn unreadable(mut error: Error) -> Error {
    error.kind = Kind::Unreadable;
    error
}

/// What is shown of an encrypted file, and the way back.
struct View<'o> {
    opened: &'o next::Opened<'o>,
    decoded: bool,
    block: bool,
}

impl View<'_> {
    fn format(&self) -> &'static dyn Format {
        self.opened.document.format
    }

    fn shown(&self) -> Result<Zeroizing<String>> {
        let plain = &self.opened.plain;
        let text = if self.decoded { decoded::shown(plain, self.format())? } else { plain.clone() };
        if !self.block {
            return Ok(text);
        }
        let mut edits = Edits::default();
        let indent = self.format().block_indent(&self.opened.document);
        self.format().add_block(&self.opened.parsed(&text)?, &self.opened.metadata.write(), indent, &mut edits);
        Ok(edits.apply(&text))
    }

    /// The plain text that an edited text stands for.
    fn taken_back(&self, edited: &str) -> Result<Zeroizing<String>> {
        let text = if self.block { self.without_block(edited)? } else { Zeroizing::new(edited.to_owned()) };
        self.format().refuse_plain(&text)?;
        if is_encrypted(&self.opened.parsed(&text)?) {
            return Err(
                Error::new(Kind::Unreadable, "a key sops at the top, which is kept for the block").hint("give the key another name")
            );
        }
        if self.decoded { decoded::taken_back(&self.opened.plain, &text, self.format()) } else { Ok(text) }
    }

    fn without_block(&self, edited: &str) -> Result<Zeroizing<String>> {
        let document = self.format().parse_encrypted(edited)?;
        if pipeline::metadata_of(&document)? != self.opened.metadata {
            let error = Error::new(Kind::Unreadable, "the sops block was changed, it is only shown here");
            return Err(error.hint("updatekeys and rotate change the recipients; encrypting again changes what is encrypted"));
        }
        let mut edits = Edits::default();
        self.format().remove_block(&document, "{}\n", &mut edits);
        Ok(edits.apply(edited))
    }
}

fn existing(context: &Context, args: &Args, path: &Path) -> Result<()> {
    let order = args.order.kinds()?;
    source::refuse_irregular(path, source::COPY)?;
    let text = Source::File(path.to_owned()).read_encrypted()?;
    let format = format_of(args, path, &text)?;
    let identities = identities::of(context, &args.common);
    let opened = next::open(&text, format, &identities, &order, args.ignore_mac);
    identities::tell(context, &args.common, &identities);
    let mut opened = opened?;
    // An edit raises the version to the one that is written (SOPS).
    opened.metadata.version = metadata::written_version(Some(&opened.metadata.version));
    opened.notes.iter().for_each(|note| report::warning(context, &format!("{}: {note}", path.display())));
    let view = View { opened: &opened, decoded: !context.is_sops() && !args.raw, block: args.show_master_keys && !format.is_bytes() };
    let session = Session::begin(context, path, format, view.shown()?)?;
    let sealed = session.until_accepted(|edited| {
        let plain = view.taken_back(edited).map_err(unreadable)?;
        if plain == opened.plain {
            return Err(Error::new(Kind::Unchanged, UNCHANGED));
        }
        let check = |after: &Document<'_>| {
            let selection = Selection::of_metadata(opened.metadata.selector.as_ref());
            if args.allow_clear { Ok(()) } else { refuse_cleared(context, &disclosed(&opened, after, &selection)?, "the file") }
        };
        next::reseal(&opened, &plain, check, &clock::now())
    })?;
    refuse_changed(path, Some(&text), &sealed)?;
    write(context, args, path, &sealed)
}

fn new(context: &Context, args: &Args, path: &Path) -> Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !parent.is_dir() {
        let error = Error::new(Kind::Unwritable, format!("can't write it: there is no directory {}", parent.display()));
        return Err(error.hint("make the directory first"));
    }
    let format = format_of(args, path, "")?;
    let shown = example::of(format.name());
    // Recipients are missed before the editor is open, not after.
    let decision = decide(context, args, path, &format.parse_plain(shown)?)?;
    consent(context, args, path, &decision)?;
    let session = Session::begin(context, path, format, Zeroizing::new(shown.to_owned()))?;
    let sealed = session.until_accepted(|edited| {
        format.refuse_plain(edited).map_err(unreadable)?;
        encrypt(context, args, path, format, edited)
    })?;
    refuse_changed(path, None, &sealed)?;
    write(context, args, path, &sealed)
}

fn encrypt(context: &Context, args: &Args, path: &Path, format: &'static dyn Format, text: &str) -> Result<Zeroizing<String>> {
    let document = format.parse_plain(text).map_err(unreadable)?;
    let decision = decide(context, args, path, &document)?;
    refuse_clear_anew(context, args.allow_clear, &context.directory.join(path), &document, &decision.plan.selection)?;
    Ok(pipeline::encrypt(&document, &decision.plan, &identities::of(context, &args.common))?.text)
}

fn decide(context: &Context, args: &Args, path: &Path, document: &Document<'_>) -> Result<Decision> {
    let asked = Asked {
        common: &args.common,
        recipients: &args.recipients,
        selectors: &args.selectors,
        mac_only_encrypted: args.mac_only_encrypted,
        layout: true,
        whole: document.format.is_bytes(),
    };
    let target = context.directory.join(path);
    let found = settings::find(context, &args.common, Some(&target))?;
    settings::decide(context, &asked, found.as_deref(), &target, document)
}

/// For whom a new file is encrypted is asked once, before there is anything to lose.
fn consent(context: &Context, args: &Args, path: &Path, decision: &Decision) -> Result<()> {
    let (configs, target) = (Configs::new(context, &args.common), context.directory.join(path));
    let recipients: Vec<RecipientSpec> = decision.plan.groups.iter().flatten().cloned().collect();
    args.consent.check(&configs, configs.find(Some(&target))?.as_deref(), &target, &recipients)
}

fn format_of(args: &Args, path: &Path, text: &str) -> Result<&'static dyn Format> {
    let format = args.types.input(&path.display().to_string(), text)?;
    if args.types.output(format)?.name() != format.name() {
        let error = Error::new(Kind::ConflictingFlags, "a file is edited in its own format: input and output type differ");
        return Err(error.hint("decrypt --output-type shows it in another format"));
    }
    Ok(format)
}

/// Refuses to overwrite what someone else wrote meanwhile: both versions stay.
fn refuse_changed(path: &Path, before: Option<&Zeroizing<String>>, sealed: &str) -> Result<()> {
    let now = Source::File(path.to_owned()).read().ok();
    if now.as_deref().map(String::as_str) == before.map(|text| text.as_str()) {
        return Ok(());
    }
    let error = Error::new(Kind::Unwritable, "the file was changed on disk while it was edited, and is left as it is now");
    Err(keep(path, sealed, error))
}

/// What was edited is kept beside a file that can't be written.
fn keep(path: &Path, sealed: &str, error: Error) -> Error {
    let kept = free_name(path);
    match source::write(&kept, sealed, true) {
        Ok(()) => error.hint(format!("your version is in {}, encrypted", kept.display())).hint("bring both together, and remove that file"),
        Err(_) => error,
    }
}

/// `secret.edited.yaml` beside `secret.yaml`: with the same ending, so that it is read as the same format.
fn free_name(path: &Path) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let ending = path.extension().map(|ending| format!(".{}", ending.to_string_lossy())).unwrap_or_default();
    let named = |count: usize| {
        let number = if count == 0 { String::new() } else { format!("-{count}") };
        path.with_file_name(format!("{stem}.edited{number}{ending}"))
    };
    (0..).map(named).find(|name| !name.exists()).unwrap_or_else(|| named(0))
}

fn write(context: &Context, args: &Args, path: &Path, sealed: &str) -> Result<()> {
    let written =
        if args.write_through && path.exists() { source::write_through(path, sealed) } else { source::write(path, sealed, false) };
    written.map_err(|error| keep(path, sealed, error))?;
    git::add_attributes(context, &[cleaned(&context.directory.join(path))]);
    report::note(context, &format!("{}: encrypted and written", path.display()));
    Ok(())
}
