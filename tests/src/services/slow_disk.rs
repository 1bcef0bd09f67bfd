//! A service on a disk that is slow, or does not answer.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::Service;
use crate::{nginx::shipped, wait::must};

/// A disk that is told how long each flush takes.
#[derive(Debug)]
pub struct SlowDisk {
    hold: PathBuf,
}

impl SlowDisk {
    /// Has `service` find its flushes slow, from its next start on, once that is asked for. `directory` is for the shim.
    ///
    /// # Panics
    /// There is no C compiler.
    pub fn under(service: &mut Service, directory: &Path) -> Self {
        let (library, hold) = (directory.join("slow_fsync.so"), directory.join("hold"));
        let source = shipped("tests/fixtures/slow_fsync.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .arg(&library)
            .arg(source)
            .arg("-ldl")
            .output();
        let built = must("cc", built);
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        service.set("LD_PRELOAD", &library.display().to_string());
        service.set("FSYNC_HOLD", &hold.display().to_string());
        Self { hold }
    }

    /// Each flush takes so long, from the next one on.
    ///
    /// # Panics
    /// It cannot be said.
    pub fn slow(&self, milliseconds: u32) {
        self.say(&milliseconds.to_string());
    }

    /// No flush ends before the disk is told otherwise.
    ///
    /// # Panics
    /// It cannot be said.
    pub fn hang(&self) {
        self.say("hang");
    }

    /// Written beside and renamed, so that no half of it is read.
    fn say(&self, word: &str) {
        let new = self.hold.with_extension("new");
        must(
            "the file that holds flushes",
            fs::write(&new, word).and_then(|()| fs::rename(&new, &self.hold)),
        );
    }
}
