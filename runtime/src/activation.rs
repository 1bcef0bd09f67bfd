//! Listening sockets that a service manager opens and passes on, as systemd does for its `.socket` units (socket
//! activation, `sd_listen_fds(3)`). The manager keeps them open while the process is replaced: new connections then wait in
//! the kernel for the next process, and are not refused.
//!
//! `LISTEN_PID` is the process that gets the sockets, `LISTEN_FDS` their number, from descriptor 3 on, and `LISTEN_FDNAMES`
//! their names, separated by colons.

use std::{env, net::SocketAddr, process};

use listenfd::ListenFd;
use socket2::SockRef;
use tokio::net::TcpListener;

use crate::{failure::Failure, serve::bind};

/// The descriptor of the first socket (`SD_LISTEN_FDS_START`).
const FIRST: usize = 3;

/// The listening sockets that were passed to this process, by their names.
#[derive(Debug, Default)]
pub struct PassedListeners(Vec<(&'static str, std::net::TcpListener)>);

impl PassedListeners {
    /// Takes the sockets that were passed; `known` are the names that the service has listeners for. Sockets for another
    /// process (`LISTEN_PID`) are left alone.
    ///
    /// Call it in `main`, before there is a second thread: it removes `LISTEN_PID` and `LISTEN_FDS` from the environment, so
    /// that no child process uses the sockets.
    ///
    /// # Errors
    /// A name that is unknown, missing or there twice, or a descriptor that is no listening TCP socket.
    pub fn take(known: &[&'static str]) -> Result<Self, Failure> {
        let variable = |name: &str| {
            let value = env::var_os(name)?;
            (!value.is_empty()).then(|| value.to_string_lossy().into_owned())
        };
        let wrong = |faults: Vec<String>| Failure::setting(faults.join("; "));
        let names = names(known, process::id(), variable).map_err(wrong)?;
        if names.is_empty() {
            return Ok(Self::default());
        }
        let mut descriptors = ListenFd::from_env();
        let (mut passed, mut faults) = (Vec::new(), Vec::new());
        for (index, name) in names.into_iter().enumerate() {
            match listener(&mut descriptors, index) {
                Some(listener) => passed.push((name, listener)),
                None => faults.push(format!(
                    "LISTEN_FDS: descriptor {}, {name}, is wrong: a listening TCP socket is expected",
                    FIRST + index
                )),
            }
        }
        if faults.is_empty() { Ok(Self(passed)) } else { Err(wrong(faults)) }
    }

    /// Listens on the socket that was passed as `name`, else on the address of a setting, given with its name.
    ///
    /// # Errors
    /// As of [`bind`]; or the socket cannot be used.
    pub async fn listen(
        &mut self,
        name: &str,
        (setting, address): (&str, SocketAddr),
    ) -> Result<TcpListener, Failure> {
        let unusable = |error| Failure::other(format!("the socket passed as {name} cannot be used"), error);
        let Some(index) = self.0.iter().position(|(passed, _)| *passed == name) else {
            let listener = bind(setting, address).await?;
            tracing::info!(listener = name, %address, "listening");
            return Ok(listener);
        };
        let (_, listener) = self.0.swap_remove(index);
        let address = listener.local_addr().map_err(unusable)?;
        listener.set_nonblocking(true).map_err(unusable)?;
        tracing::info!(listener = name, %address, "listening on the socket that was passed");
        TcpListener::from_std(listener).map_err(unusable)
    }
}

/// The passed socket of that index, if it is a TCP socket that listens.
fn listener(descriptors: &mut ListenFd, index: usize) -> Option<std::net::TcpListener> {
    let listener = descriptors.take_tcp_listener(index).ok()??;
    // With `Accept=yes`, systemd passes a connection instead.
    SockRef::from(&listener).is_listener().ok()?.then_some(listener)
}

/// The names of the sockets for the process `own`, in the order of their descriptors, or all that is wrong with them.
fn names(
    known: &[&'static str],
    own: u32,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Vec<&'static str>, Vec<String>> {
    let (Some(process), Some(count)) = (variable("LISTEN_PID"), variable("LISTEN_FDS")) else {
        return Ok(Vec::new());
    };
    match process.parse::<u32>() {
        Ok(process) if process == own => {}
        Ok(_) => return Ok(Vec::new()),
        Err(_) => return Err(vec![format!("LISTEN_PID: {process:?} is wrong: a process id is expected")]),
    }
    let Ok(count) = count.parse::<usize>() else {
        return Err(vec![format!("LISTEN_FDS: {count:?} is wrong: a count of sockets is expected")]);
    };
    let given = variable("LISTEN_FDNAMES").unwrap_or_default();
    let given: Vec<_> = given.split(':').filter(|_| count > 0).collect();
    let mut faults = Vec::new();
    if given.len() != count {
        faults.push(format!("LISTEN_FDNAMES: {} names, but LISTEN_FDS says {count} sockets", given.len()));
    }
    let mut names = Vec::new();
    for name in given {
        match known.iter().find(|known| **known == name) {
            None => faults.push(format!(
                "LISTEN_FDNAMES: {name:?} is wrong: one of {} is expected (FileDescriptorName= of a .socket unit)",
                known.join(", ")
            )),
            Some(known) if names.contains(known) => {
                faults.push(format!("LISTEN_FDNAMES: {name} is listed twice: one socket of each name is expected"));
            }
            Some(known) => names.push(*known),
        }
    }
    if faults.is_empty() { Ok(names) } else { Err(faults) }
}

#[cfg(test)]
mod tests {
    use super::names;

    const OWN: u32 = 4_711;

    /// The names that are read from these variables, or the faults.
    fn read(pid: &str, count: &str, given: &str) -> Result<Vec<&'static str>, Vec<String>> {
        names(&["http", "grpc"], OWN, |variable| {
            let value = match variable {
                "LISTEN_PID" => pid,
                "LISTEN_FDS" => count,
                _ => given,
            };
            (!value.is_empty()).then(|| value.to_owned())
        })
    }

    #[test]
    fn the_names_are_in_the_order_of_the_sockets() {
        assert_eq!(read("4711", "2", "grpc:http"), Ok(vec!["grpc", "http"]));
        assert_eq!(read("4711", "1", "http"), Ok(vec!["http"]));
    }

    #[test]
    fn without_variables_or_for_another_process_there_are_no_sockets() {
        for (pid, count, given) in
            [("", "", ""), ("", "1", "http"), ("4711", "", "x"), ("4711", "0", ""), ("1", "9", "x:y")]
        {
            assert_eq!(read(pid, count, given), Ok(Vec::new()), "{pid:?} {count:?} {given:?}");
        }
    }

    #[test]
    fn all_faults_are_reported_at_once() {
        let cases: [(_, _, _, &[&str]); 7] = [
            ("me", "1", "http", &["LISTEN_PID: \"me\""]),
            ("4711", "two", "http", &["LISTEN_FDS: \"two\""]),
            ("4711", "-1", "http", &["LISTEN_FDS: \"-1\""]),
            ("4711", "2", "http", &["1 names, but LISTEN_FDS says 2"]),
            ("4711", "1", "", &["\"\" is wrong: one of http, grpc is expected"]),
            ("4711", "2", "htpp:admin", &["\"htpp\" is wrong", "\"admin\" is wrong"]),
            ("4711", "3", "http:x:http", &["\"x\" is wrong", "http is listed twice"]),
        ];
        for (pid, count, given, expected) in cases {
            let said = read(pid, count, given).map_err(|faults| (faults.len(), faults.join("; ")));
            let Err((number, said)) = said else { panic!("{pid:?} {count:?} {given:?} is right") };
            assert_eq!(number, expected.len(), "{said}");
            assert!(expected.iter().all(|words| said.contains(words)), "{said}");
        }
    }
}
