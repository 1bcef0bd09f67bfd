//! A service on a small disk of its own, to be filled.

use std::{
    fs::OpenOptions,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use super::service::Service;
use crate::wait::must;

impl Service {
    /// Has it run with a disk of its own of so many KiB, mounted at `at`, which nobody else sees; `ballast` KiB of it are
    /// taken by a file of that name, which [`Self::drop_ballast`] removes.
    pub fn on_small_disk(&mut self, at: &Path, size: u32, ballast: u32) {
        let script = "mount -t tmpfs -o size=${1}k ringpad-test \"$3\" && head -c ${2}k /dev/zero >\"$3/ballast\" && exec \"$4\"";
        let service = std::mem::replace(&mut self.program.file, PathBuf::from("unshare"));
        let arguments = ["--map-root-user", "--mount", "sh", "-c", script, "small-disk"].map(str::to_owned);
        let (at, service) = (at.display().to_string(), service.display().to_string());
        self.program.arguments = arguments.into();
        self.program.arguments.extend([size.to_string(), ballast.to_string(), at, service]);
    }

    /// Makes room on its small disk.
    ///
    /// # Panics
    /// It has none, or is not running.
    pub fn drop_ballast(&self, at: &Path) {
        must("the ballast is removed", std::fs::remove_file(self.sees(at).join("ballast")));
    }

    /// Makes the ballast take all that is left of its small disk.
    ///
    /// # Panics
    /// There is no end of room, or it is not running.
    pub fn fill_disk(&self, at: &Path) {
        let ballast = OpenOptions::new().create(true).append(true).open(self.sees(at).join("ballast"));
        let mut ballast = must("the ballast", ballast);
        let filled = std::io::copy(&mut std::io::repeat(0), &mut ballast);
        assert_eq!(filled.map_err(|error| error.kind()), Err(ErrorKind::StorageFull));
    }

    /// A directory of its small disk, from outside.
    fn sees(&self, at: &Path) -> PathBuf {
        let pid = self.running().pid().as_raw_nonzero();
        PathBuf::from(format!("/proc/{pid}/root{}", at.display()))
    }
}
