//! Sockets that are passed to a program as systemd passes them, and stay open when the program ends.

use std::{
    net::{SocketAddr, TcpListener},
    os::fd::{AsFd, AsRawFd, OwnedFd},
};

use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};

use super::service::Service;
use crate::{guard::Program, wait::must};

/// Above all descriptors that the shells between this process and the program use.
const ABOVE: i32 = 64;

/// Moves the sockets `$1` (descriptors, with colons between them) to 3, 4 …, and names them `$2`. The rest is the command line.
/// With `exec` bash keeps its process id, which `LISTEN_PID` names.
const SCRIPT: &str = r#"
IFS=: read -r -a descriptors <<<"$1"; names=$2; shift 2
next=3
for descriptor in "${descriptors[@]}"; do
    eval "exec $next<&$descriptor $descriptor<&-"
    next=$((next + 1))
done
export LISTEN_PID=$$ LISTEN_FDS=${#descriptors[@]} LISTEN_FDNAMES=$names
exec "$@"
"#;

/// Sockets that are passed to a program. Other children that this process starts meanwhile inherit them too, and do not use them.
#[derive(Debug)]
pub struct PassedSockets {
    descriptors: Vec<OwnedFd>,
    names: String,
}

impl PassedSockets {
    /// Listens on each of these addresses, and gives each socket its name.
    ///
    /// # Panics
    /// An address is in use.
    pub fn listen(addresses: &[(&str, SocketAddr)]) -> Self {
        let listeners = addresses.iter().map(|(_, address)| must("a socket", TcpListener::bind(address)));
        let names: Vec<_> = addresses.iter().map(|(name, _)| *name).collect();
        Self::new(&names.join(":"), listeners)
    }

    /// Any descriptors; `names` are their names, with colons between them.
    ///
    /// # Panics
    /// There are too many open files.
    pub fn new(names: &str, descriptors: impl IntoIterator<Item = impl AsFd>) -> Self {
        let inheritable = |descriptor| {
            let copy = must("a descriptor", fcntl_dupfd_cloexec(descriptor, ABOVE));
            must("a descriptor", fcntl_setfd(&copy, FdFlags::empty()));
            copy
        };
        Self { descriptors: descriptors.into_iter().map(inheritable).collect(), names: names.to_owned() }
    }

    /// The same program, which gets the sockets.
    pub fn to(&self, program: Program) -> Program {
        let descriptors: Vec<_> = self.descriptors.iter().map(|copy| copy.as_raw_fd().to_string()).collect();
        let mut shell = Program { file: "bash".into(), arguments: Vec::new(), ..program.clone() };
        for argument in ["-c", SCRIPT, "systemd", &descriptors.join(":"), &self.names] {
            shell = shell.argument(argument);
        }
        shell = shell.argument(program.file.display().to_string());
        program.arguments.into_iter().fold(shell, Program::argument)
    }
}

impl Service {
    /// Passes it these sockets, from the next start on.
    pub fn pass(&mut self, passed: &PassedSockets) {
        self.program = passed.to(self.program.clone());
    }
}
