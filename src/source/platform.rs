//! Everything that differs between operating systems: modes, owners, signals, core dumps.

#[cfg(unix)]
pub use unix::*;

#[cfg(not(unix))]
pub use other::*;

/// A path with `/`, as git takes it on every system.
pub fn slashed(path: &std::path::Path) -> std::ffi::OsString {
    path_of_bytes(&bytes_of_path(path)).into_os_string()
}

#[cfg(unix)]
mod unix {
    use std::ffi::{OsStr, OsString};
    use std::fs::{File, Metadata, OpenOptions, Permissions};
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
    use std::path::Path;
    use std::process::{Child, Command};
    use std::sync::Once;

    use rustix::process::{Pid, Signal};

    use crate::error::{Error, Kind, Result};

    /// Options that make a file only its owner can read.
    pub fn private() -> OpenOptions {
        let mut options = OpenOptions::new();
        options.mode(0o600);
        options
    }

    /// Makes directories, and their parents, that only their owner can enter.
    pub fn private_directory() -> std::fs::DirBuilder {
        use std::os::unix::fs::DirBuilderExt;
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder
    }

    /// Gives a new file the mode and owner of the one it replaces; without one the usual mode of new files.
    ///
    /// # Errors
    /// The owner can't be kept.
    pub fn take_over(file: &File, old: Option<&Metadata>, private: bool) -> std::io::Result<()> {
        match old {
            Some(old) => {
                let new = file.metadata()?;
                if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
                    fchown(file, Some(old.uid()), Some(old.gid()))?;
                }
                file.set_permissions(Permissions::from_mode(old.mode() & 0o7777))
            }
            None if private => Ok(()),
            None => file.set_permissions(Permissions::from_mode(0o666 & !umask())),
        }
    }

    /// Lets everyone who may read a file run it.
    ///
    /// # Errors
    /// Its mode can't be read or set.
    pub fn make_executable(path: &Path) -> std::io::Result<()> {
        let mode = std::fs::metadata(path)?.mode();
        std::fs::set_permissions(path, Permissions::from_mode(mode | (mode & 0o444) >> 2))
    }

    /// Asked once: it can be read only by setting it, and two threads that do so at a time leave the wrong one.
    fn umask() -> u32 {
        static MASK: std::sync::LazyLock<u32> = std::sync::LazyLock::new(|| {
            let mask = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
            rustix::process::umask(mask);
            mask.as_raw_mode() as u32
        });
        *MASK
    }

    /// A rename would part a file from its other names.
    ///
    /// # Errors
    /// `Unwritable` (3).
    pub fn refuse_hard_links(path: &Path, metadata: &Metadata) -> Result<()> {
        if metadata.nlink() < 2 {
            return Ok(());
        }
        let message = format!("can't replace {}: it has {} names (hard links), which would part", path.display(), metadata.nlink());
        Err(Error::new(Kind::Unwritable, message).hint("--write-through writes into the file itself, --output a new file"))
    }

    /// Makes a rename durable. A directory that can't be synced is no failure: the rename itself is done.
    pub fn sync_directory(target: &Path) {
        let directory = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if let Ok(directory) = File::open(directory) {
            let _ = directory.sync_all();
        }
    }

    /// Calls `arrived` for each INT, TERM and HUP from here on.
    pub fn watch_signals(arrived: fn(i32)) {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
            let Ok(mut signals) = signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM]) else { return };
            std::thread::spawn(move || signals.forever().for_each(arrived));
        });
    }

    /// No core dump may hold a data key. Linux makes a program that this one starts dumpable again by itself; elsewhere
    /// only the limit that `allow_core_dumps` can raise again is lowered.
    pub fn forbid_core_dumps() {
        #[cfg(target_os = "linux")]
        let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
        #[cfg(not(target_os = "linux"))]
        limit_core_dumps(|_| Some(0));
    }

    /// The data key is none of the business of programs that are started.
    fn allow_core_dumps() {
        #[cfg(not(target_os = "linux"))]
        limit_core_dumps(|maximum| maximum);
    }

    #[cfg(not(target_os = "linux"))]
    fn limit_core_dumps(current: impl FnOnce(Option<u64>) -> Option<u64>) {
        let maximum = rustix::process::getrlimit(rustix::process::Resource::Core).maximum;
        let limit = rustix::process::Rlimit { current: current(maximum), maximum };
        let _ = rustix::process::setrlimit(rustix::process::Resource::Core, limit);
    }

    /// Starts a program.
    ///
    /// # Errors
    /// It can't be started.
    pub fn spawn(command: &mut Command) -> std::io::Result<Child> {
        allow_core_dumps();
        let child = command.spawn();
        forbid_core_dumps();
        child
    }

    /// Puts a program in the place of this process: returns only if that fails.
    pub fn replace_process(command: &mut Command) -> std::io::Error {
        use std::os::unix::process::CommandExt;
        allow_core_dumps();
        command.exec()
    }

    /// The exit code of a program that ended: 128 + n after signal n.
    pub fn exit_code(status: std::process::ExitStatus) -> u8 {
        use std::os::unix::process::ExitStatusExt;
        let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
        code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
    }

    /// Whether this signal is Ctrl+C or Ctrl+\ at the terminal of this process, which all programs at it get.
    pub fn is_from_terminal(signal: i32) -> bool {
        use signal_hook::consts::{SIGINT, SIGQUIT};
        let foreground = || rustix::termios::tcgetpgrp(File::open("/dev/tty").ok()?).ok();
        [SIGINT, SIGQUIT].contains(&signal) && foreground() == Some(rustix::process::getpgrp())
    }

    /// The signal typed at the terminal that a program died of.
    pub fn typed_signal(status: std::process::ExitStatus) -> Option<i32> {
        use std::os::unix::process::ExitStatusExt;
        status.signal().filter(|signal| is_from_terminal(*signal))
    }

    /// Sends a signal to a program.
    pub fn pass_on(id: u32, signal: i32) {
        let process = i32::try_from(id).ok().and_then(Pid::from_raw);
        if let Some((process, signal)) = process.zip(Signal::from_named_raw(signal)) {
            let _ = rustix::process::kill_process(process, signal);
        }
    }

    /// Asks a program to end.
    pub fn ask_to_end(id: u32) {
        pass_on(id, signal_hook::consts::SIGTERM);
    }

    /// Whether a program is there: running, or ended and not yet waited for.
    pub fn is_running(id: u32) -> bool {
        let process = i32::try_from(id).ok().and_then(Pid::from_raw);
        process.is_some_and(|process| rustix::process::test_kill_process(process).is_ok())
    }

    /// Whether a file is a program.
    pub fn is_program(path: &Path) -> bool {
        path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.mode() & 0o111 != 0)
    }

    /// Puts a program into another place, too: as a link.
    ///
    /// # Errors
    /// It can't be made.
    pub fn put_program(program: &Path, to: &Path) -> std::io::Result<()> {
        std::os::unix::fs::symlink(program, to)
    }

    /// Makes a named pipe that only its owner can open.
    ///
    /// # Errors
    /// It can't be made.
    pub fn make_pipe(path: &Path) -> std::io::Result<()> {
        Ok(nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRUSR | nix::sys::stat::Mode::S_IWUSR)?)
    }

    /// Whether there are named pipes.
    pub const HAS_PIPES: bool = true;

    /// The shell with a command line.
    pub fn shell(line: &OsStr) -> Command {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(line);
        command
    }

    /// Bytes as a variable's value.
    pub fn variable(bytes: &[u8]) -> Option<OsString> {
        Some(std::os::unix::ffi::OsStringExt::from_vec(bytes.to_vec()))
    }

    /// Whether files of this directory stay in memory.
    pub fn is_in_memory(directory: &Path) -> bool {
        #[cfg(target_os = "linux")]
        {
            // linux/magic.h
            const TMPFS: u32 = 0x0102_1994;
            const RAMFS: u32 = 0x8584_58f6;
            rustix::fs::statfs(directory).is_ok_and(|file_system| [TMPFS, RAMFS].contains(&(file_system.f_type as u32)))
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = directory;
            false
        }
    }

    /// Becomes another user for the rest of the run, and gives the variables that say who that is.
    ///
    /// # Errors
    /// `Generic` (1): there is no such user, or this one may not become it.
    pub fn become_user(name: &str) -> Result<Vec<(&'static str, OsString)>> {
        let failed = |why: &str| Error::new(Kind::Generic, format!("can't become the user {name}: {why}"));
        let user = nix::unistd::User::from_name(name).map_err(|why| failed(why.desc()))?.ok_or_else(|| failed("there is no such user"))?;
        switch(&user).map_err(|why| failed(why.desc()))?;
        Ok(vec![("HOME", user.dir.into_os_string()), ("USER", user.name.clone().into()), ("LOGNAME", user.name.into())])
    }

    #[cfg(not(target_vendor = "apple"))]
    fn switch(user: &nix::unistd::User) -> nix::Result<()> {
        use nix::unistd::{getgrouplist, setgid, setgroups, setuid};
        let name = std::ffi::CString::new(user.name.as_str()).map_err(|_| nix::errno::Errno::EINVAL)?;
        setgroups(&getgrouplist(&name, user.gid)?)?;
        setgid(user.gid)?;
        setuid(user.uid)
    }

    /// The groups of a process can't be set from safe code there.
    #[cfg(target_vendor = "apple")]
    fn switch(_user: &nix::unistd::User) -> nix::Result<()> {
        Err(nix::errno::Errno::ENOTSUP)
    }

    /// The number of names a file has.
    pub fn names(metadata: &Metadata) -> u64 {
        metadata.nlink()
    }

    /// Whether the file belongs to the user that runs this process.
    pub fn is_owner(metadata: &Metadata) -> bool {
        metadata.uid() == user()
    }

    /// What tells a file from another of the same name.
    pub fn identity(metadata: &Metadata) -> (u64, u64) {
        (metadata.dev(), metadata.ino())
    }

    /// The device that holds a path: a change on the way up is a border between file systems.
    pub fn device(path: &Path) -> Option<u64> {
        path.metadata().ok().map(|metadata| metadata.dev())
    }

    /// The owner of a path.
    pub fn owner(path: &Path) -> Option<u32> {
        path.metadata().ok().map(|metadata| metadata.uid())
    }

    /// A path from the bytes that git and others give.
    pub fn path_of_bytes(bytes: &[u8]) -> std::path::PathBuf {
        use std::os::unix::ffi::OsStrExt;
        std::path::PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
    }

    /// The bytes of a path, as git takes them.
    pub fn bytes_of_path(path: &Path) -> Vec<u8> {
        use std::os::unix::ffi::OsStrExt;
        path.as_os_str().as_bytes().to_vec()
    }

    /// The user that runs this process.
    pub fn user() -> u32 {
        rustix::process::geteuid().as_raw()
    }
}

#[cfg(not(unix))]
mod other {
    use std::ffi::{OsStr, OsString};
    use std::fs::{File, Metadata, OpenOptions};
    use std::path::Path;
    use std::process::{Child, Command};

    use crate::error::{Error, Kind, Result};

    /// Files need no mode to be run.
    ///
    /// # Errors
    /// None.
    pub fn make_executable(_: &Path) -> std::io::Result<()> {
        Ok(())
    }

    /// Options for a new file; access follows the directory's rules.
    pub fn private() -> OpenOptions {
        OpenOptions::new()
    }

    /// Makes directories and their parents; access follows the directory's rules.
    pub fn private_directory() -> std::fs::DirBuilder {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        builder
    }

    /// Modes and owners follow the directory here.
    ///
    /// # Errors
    /// None.
    pub fn take_over(_file: &File, _old: Option<&Metadata>, _private: bool) -> std::io::Result<()> {
        Ok(())
    }

    /// Hard links aren't told apart here.
    ///
    /// # Errors
    /// None.
    pub fn refuse_hard_links(_path: &Path, _metadata: &Metadata) -> Result<()> {
        Ok(())
    }

    /// Directories can't be synced here.
    pub fn sync_directory(_target: &Path) {}

    /// The console ends the process itself; temporary files are removed by the next run.
    pub fn watch_signals(_arrived: fn(i32)) {}

    /// Core dumps are a matter of the system's settings here.
    pub fn forbid_core_dumps() {}

    /// Starts a program.
    ///
    /// # Errors
    /// It can't be started.
    pub fn spawn(command: &mut Command) -> std::io::Result<Child> {
        command.spawn()
    }

    /// A process can't be replaced here: the program is waited for, and this process ends as it did.
    pub fn replace_process(command: &mut Command) -> std::io::Error {
        match command.status() {
            Ok(status) => std::process::exit(exit_code(status).into()),
            Err(why) => why,
        }
    }

    /// The exit code of a program that ended.
    pub fn exit_code(status: std::process::ExitStatus) -> u8 {
        status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
    }

    /// Signals don't arrive here.
    pub fn is_from_terminal(_signal: i32) -> bool {
        false
    }

    /// Signals don't arrive here.
    pub fn typed_signal(_status: std::process::ExitStatus) -> Option<i32> {
        None
    }

    /// Signals don't arrive here.
    pub fn pass_on(_id: u32, _signal: i32) {}

    /// Signals don't arrive here.
    pub fn ask_to_end(_id: u32) {}

    /// Signals don't arrive here.
    pub fn is_running(_id: u32) -> bool {
        false
    }

    /// Whether a file is a program; names without `.exe` stand for those with it.
    pub fn is_program(path: &Path) -> bool {
        path.is_file() || path.with_extension("exe").is_file()
    }

    /// Puts a program into another place, too: as a copy, since links need a privilege here.
    ///
    /// # Errors
    /// It can't be written.
    pub fn put_program(program: &Path, to: &Path) -> std::io::Result<()> {
        std::fs::copy(program, to.with_extension("exe")).map(drop)
    }

    /// There are no named pipes in the file system here.
    ///
    /// # Errors
    /// Always.
    pub fn make_pipe(_path: &Path) -> std::io::Result<()> {
        Err(std::io::ErrorKind::Unsupported.into())
    }

    /// Whether there are named pipes.
    pub const HAS_PIPES: bool = false;

    /// The shell with a command line.
    pub fn shell(line: &OsStr) -> Command {
        let mut command = Command::new("cmd.exe");
        command.arg("/C").arg(line);
        command
    }

    /// Bytes as a variable's value; none if they aren't text.
    pub fn variable(bytes: &[u8]) -> Option<OsString> {
        std::str::from_utf8(bytes).ok().map(OsString::from)
    }

    /// There are no file systems in memory here.
    pub fn is_in_memory(_directory: &Path) -> bool {
        false
    }

    /// Programs run as the user who started this one here.
    ///
    /// # Errors
    /// `Generic` (1), always.
    pub fn become_user(_name: &str) -> Result<Vec<(&'static str, OsString)>> {
        Err(Error::new(Kind::Generic, "--user isn't supported on this system"))
    }

    /// Not known here.
    pub fn names(_metadata: &Metadata) -> u64 {
        1
    }

    /// Access follows the directory's rules here.
    pub fn is_owner(_metadata: &Metadata) -> bool {
        true
    }

    /// Not known here: size and time tell files apart.
    pub fn identity(_metadata: &Metadata) -> (u64, u64) {
        (0, 0)
    }

    /// Not known here.
    pub fn device(_path: &Path) -> Option<u64> {
        None
    }

    /// Not known here.
    pub fn owner(_path: &Path) -> Option<u32> {
        None
    }

    /// A path from the bytes that git and others give: UTF-8 here.
    pub fn path_of_bytes(bytes: &[u8]) -> std::path::PathBuf {
        std::path::PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
    }

    /// The bytes of a path, as git takes them: UTF-8, with `/`.
    pub fn bytes_of_path(path: &Path) -> Vec<u8> {
        path.to_string_lossy().replace('\\', "/").into_bytes()
    }

    /// Not known here.
    pub fn user() -> u32 {
        0
    }
}
