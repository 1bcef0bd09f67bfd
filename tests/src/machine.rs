//! A machine with faults for one process: a wrong wall clock, a disk that is slow, hangs, fails, is full or does not flush, and a
//! power cut, which undoes what was not flushed.
//!
//! The machine is a library (`machine/shim.c`) that is loaded into the process before libc, compiled by `cc` when it is first used, and
//! controlled by a few numbers in a file that both have mapped. It has no effect on a program that is linked statically or calls
//! the kernel without libc: [`Machine::has_noted`] shows that it has an effect.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, OpenOptions},
    io::ErrorKind,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{guard::Program, wait::must};

const SOURCE: &str = include_str!("machine/shim.c");

/// The offsets of the control values, and their length, in bytes. As in `shim.c`.
const WALL_AHEAD: u64 = 0;
const FLUSH_TAKES: u64 = 8;
const DISK: u64 = 16;
const CONTROL: u64 = 24;

/// What a disk does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Disk {
    /// It works.
    Healthy,
    /// A flush does not return until the disk does something else.
    Hanging,
    /// A flush fails with EIO.
    Failing,
    /// A write fails with ENOSPC.
    Full,
    /// A flush does nothing, and succeeds.
    IgnoresFlush,
}

/// What one process sees as its machine.
#[derive(Debug)]
pub struct Machine {
    library: PathBuf,
    path: PathBuf,
    control: File,
    /// The beginning of the paths of its files.
    files: Option<PathBuf>,
}

impl Machine {
    /// A machine without faults, which keeps its own files in `directory`. Only files whose paths begin with `files` are on its disk.
    ///
    /// # Panics
    /// `cc` is not installed.
    pub fn new(directory: &Path, files: Option<&Path>) -> Self {
        let (library, path) = (directory.join("shim.so"), directory.join("control"));
        compile(&library);
        let mut options = OpenOptions::new();
        options.create(true).read(true).write(true).truncate(true);
        let control = must("the control values", options.open(&path));
        must("the control values", control.set_len(CONTROL));
        Self { library, path, control, files: files.map(Path::to_owned) }
    }

    /// The same program on this machine.
    #[must_use]
    pub fn run(&self, program: Program) -> Program {
        let program = program
            .set("LD_PRELOAD", self.library.display().to_string())
            .set("RINGPAD_CONTROL", self.path.display().to_string());
        match &self.files {
            Some(files) => program.set("RINGPAD_DISK", files.display().to_string()),
            None => program,
        }
    }

    /// Sets how many milliseconds the wall clock is ahead of the right time; negative: behind it.
    pub fn set_clock(&self, ahead_ms: i64) {
        self.write(WALL_AHEAD, ahead_ms * 1_000_000);
    }

    /// Sets how many milliseconds each flush takes longer.
    pub fn slow_disk(&self, flush_ms: i64) {
        self.write(FLUSH_TAKES, flush_ms);
    }

    /// Sets what the disk does.
    pub fn set_disk(&self, disk: Disk) {
        self.write(DISK, disk as i64);
    }

    fn write(&self, at: u64, value: i64) {
        must("the control values", self.control.write_all_at(&value.to_ne_bytes(), at));
    }

    /// Whether the process writes through this machine.
    pub fn has_noted(&self) -> bool {
        !self.undo_files().is_empty()
    }

    /// Undoes what was written and not flushed: of each file all of it or only the last writes; all of it if the disk ignores flushes. The
    /// process must have been killed.
    ///
    /// # Panics
    /// The notes cannot be read.
    pub fn lose_power(&self) {
        let mut disk = [0; 8];
        must("the control values", self.control.read_exact_at(&mut disk, DISK));
        let ignores_flush = i64::from_ne_bytes(disk) == Disk::IgnoresFlush as i64;
        for undo in self.undo_files() {
            let path = without_suffix(&undo);
            let noted = must("the notes", fs::read(&undo));
            let notes = Note::all(&noted);
            let kept = if ignores_flush || fastrand::bool() { 0 } else { fastrand::usize(..=notes.len()) };
            match OpenOptions::new().write(true).open(&path) {
                Ok(file) => notes[kept..].iter().rev().for_each(|note| note.restore(&file)),
                // It was removed.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => panic!("{}: {error}", path.display()),
            }
            must("the notes are removed", fs::remove_file(&undo));
        }
    }

    fn undo_files(&self) -> Vec<PathBuf> {
        let Some(files) = &self.files else { return Vec::new() };
        let directory = files.parent().expect("files are in a directory");
        let entries = must("the disk", fs::read_dir(directory)).flatten().map(|entry| entry.path());
        let of_disk = |path: &PathBuf| {
            path.extension() == Some(OsStr::new("undo"))
                && path.as_os_str().as_encoded_bytes().starts_with(files.as_os_str().as_encoded_bytes())
        };
        entries.filter(of_disk).collect()
    }
}

fn without_suffix(undo: &Path) -> PathBuf {
    undo.with_extension(OsString::new())
}

fn compile(library: &Path) {
    let source = library.with_extension("c");
    must("the shim's source", fs::write(&source, SOURCE));
    let mut cc = Command::new("cc");
    cc.args(["-O2", "-shared", "-fPIC", "-o"]).arg(library).arg(&source).args(["-ldl", "-pthread"]);
    let compiled = must("cc, which tests/tools.sh installs", cc.output());
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
}

/// The former bytes of a place in a file that was written.
struct Note<'a> {
    offset: u64,
    old_length: u64,
    bytes: &'a [u8],
}

impl<'a> Note<'a> {
    /// All complete notes. An incomplete one was being written when the process was killed, and its write never followed.
    fn all(mut noted: &'a [u8]) -> Vec<Self> {
        let mut notes = Vec::new();
        while let Some((header, rest)) = noted.split_first_chunk::<24>() {
            let number = |at: usize| {
                let (_, from) = header.split_at(at);
                from.first_chunk::<8>().map_or(0, |bytes| u64::from_ne_bytes(*bytes))
            };
            let Some((bytes, rest)) = usize::try_from(number(16)).ok().and_then(|n| rest.split_at_checked(n))
            else {
                break;
            };
            notes.push(Self { offset: number(0), old_length: number(8), bytes });
            noted = rest;
        }
        notes
    }

    fn restore(&self, file: &File) {
        must("the old bytes", file.write_all_at(self.bytes, self.offset));
        must("the old length", file.set_len(self.old_length));
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use super::*;
    use crate::wait::SOON;

    /// Runs a shell script on the machine; returns its output.
    async fn shell(machine: &Machine, directory: &Path, script: &str) -> String {
        let log = directory.join(format!("{}.log", crate::rabbit::unique("shell")));
        let program = machine.run(Program::new("sh", &log).argument("-c").argument(script));
        program.spawn().exit(SOON).await;
        must("its output", fs::read_to_string(log))
    }

    #[tokio::test]
    async fn a_power_cut_undoes_what_was_not_flushed_and_nothing_else() {
        let directory = must("a directory", tempfile::tempdir());
        let file = directory.path().join("disk-file");
        let machine = Machine::new(directory.path(), Some(&directory.path().join("disk-")));
        let path = file.display();
        shell(&machine, directory.path(), &format!("dd of={path} conv=fsync 2>&1 <<X\nold words\nX")).await;
        assert!(machine.has_noted());
        let script = format!("printf new | dd of={path} conv=notrunc 2>&1; printf more >>{path}");
        shell(&machine, directory.path(), &script).await;
        assert_eq!(must("the file", fs::read_to_string(&file)), "new words\nmore");
        // Perhaps only the last write is lost.
        machine.lose_power();
        let left = must("the file", fs::read_to_string(&file));
        assert!(["old words\n", "new words\n", "new words\nmore"].contains(&left.as_str()), "{left}");
        assert!(!machine.has_noted());
        // A disk that ignores flushes loses what was flushed.
        machine.set_disk(Disk::IgnoresFlush);
        shell(&machine, directory.path(), &format!("dd of={path} conv=fsync,notrunc 2>&1 <<X\nlost\nX"))
            .await;
        machine.lose_power();
        assert_eq!(must("the file", fs::read_to_string(&file)), left);
    }

    #[tokio::test]
    async fn a_new_file_is_not_mistaken_for_a_removed_one_with_its_descriptor() {
        let directory = must("a directory", tempfile::tempdir());
        let machine = Machine::new(directory.path(), Some(&directory.path().join("disk-")));
        machine.set_disk(Disk::IgnoresFlush);
        let at = directory.path().join("disk-").display().to_string();
        let script = format!("printf old >{at}journal; rm {at}journal; printf new >{at}wal");
        shell(&machine, directory.path(), &script).await;
        machine.lose_power();
        assert_eq!(must("the file", fs::read_to_string(format!("{at}wal"))), "");
    }

    #[tokio::test]
    async fn a_disk_fails_and_is_full_and_a_clock_is_wrong_only_for_its_process() {
        let directory = must("a directory", tempfile::tempdir());
        let path = directory.path().join("disk-file").display().to_string();
        let machine = Machine::new(directory.path(), Some(&directory.path().join("disk-")));
        let write = format!("LC_ALL=C dd of={path} conv=fsync 2>&1 <<X\nwords\nX");
        machine.set_disk(Disk::Full);
        assert!(shell(&machine, directory.path(), &write).await.contains("No space left on device"));
        machine.set_disk(Disk::Failing);
        assert!(shell(&machine, directory.path(), &write).await.contains("Input/output error"));
        machine.set_disk(Disk::Healthy);
        assert!(!shell(&machine, directory.path(), &write).await.contains("error"));

        machine.set_clock(-3_600_000);
        let printed = shell(&machine, directory.path(), "date +%s").await;
        let theirs: u64 = must("seconds", printed.trim().parse());
        let ours = must("a time", SystemTime::now().duration_since(UNIX_EPOCH));
        let behind = ours.saturating_sub(Duration::from_secs(theirs)).as_secs();
        assert!((3_599..3_630).contains(&behind), "{behind}");
    }
}
