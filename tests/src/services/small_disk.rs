//! A service on its own small disk, which a test can fill.

use std::{
    fs::OpenOptions,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use super::service::Service;
use crate::wait::must;

impl Service {
    /// Makes it run with its own disk of `size` KiB, mounted at `at`, which no other process sees. A file of `used` KiB on it can
    /// be removed by [`Self::free_disk`].
    pub fn on_small_disk(&mut self, at: &Path, size: u32, used: u32) {
        let script = "mount -t tmpfs -o size=${1}k ringpad-test \"$3\" && head -c ${2}k /dev/zero >\"$3/filler\" && exec \"$4\"";
        let service = std::mem::replace(&mut self.program.file, PathBuf::from("unshare"));
        let arguments = ["--map-root-user", "--mount", "sh", "-c", script, "small-disk"].map(str::to_owned);
        let (at, service) = (at.display().to_string(), service.display().to_string());
        self.program.arguments = arguments.into();
        self.program.arguments.extend([size.to_string(), used.to_string(), at, service]);
    }

    /// Frees space on its small disk.
    ///
    /// # Panics
    /// There is no such file, or the service is not running.
    pub fn free_disk(&self, at: &Path) {
        must("the file that fills the disk is removed", std::fs::remove_file(self.sees(at).join("filler")));
    }

    /// Fills its small disk with that file.
    ///
    /// # Panics
    /// The disk does not become full, or it is not running.
    pub fn fill_disk(&self, at: &Path) {
        let filler = OpenOptions::new().create(true).append(true).open(self.sees(at).join("filler"));
        let mut filler = must("the file that fills the disk", filler);
        let filled = std::io::copy(&mut std::io::repeat(0), &mut filler);
        assert_eq!(filled.map_err(|error| error.kind()), Err(ErrorKind::StorageFull));
    }

    /// A directory of its small disk, as this process can reach it.
    fn sees(&self, at: &Path) -> PathBuf {
        let pid = self.running().pid().as_raw_nonzero();
        PathBuf::from(format!("/proc/{pid}/root{}", at.display()))
    }
}
