//! A program of others, and its end.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use httputil_tests::{PATIENCE, within};
use tempfile::TempDir;
use tokio::net::TcpStream;

/// Runs what it is given until that ends, or until its own standard input does: also a test that is killed leaves nothing.
const UNTIL_LEFT: &str =
    r#"exec 3<&0; "$@" & program=$!; (read -r _ <&3; kill $program 2>/dev/null) & wait $program; kill $! 2>/dev/null"#;

/// A running program, in a folder of its own. Dropped, it is told to end, and waited for.
pub(crate) struct Program {
    child: Child,
    input: Option<ChildStdin>,
    folder: TempDir,
    port: u16,
}

impl Program {
    /// Starts it on a port that was free a moment ago; where somebody else was faster, on another one. `command` writes what
    /// the program needs into its folder, and says how it is called. It is there when it can be connected to.
    pub(crate) async fn start(command: impl Fn(&Path, u16) -> Vec<String>) -> Program {
        let mut said = String::new();
        for _ in 0..5 {
            let port = free_port();
            let mut program = Program::spawn(port, &command);
            if within(3 * PATIENCE, program.is_there()).await {
                return program;
            }
            said = program.said();
        }
        panic!("it does not start: {said}");
    }

    /// A file of its folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What it wrote to standard output and error so far.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(self.file("said")).unwrap_or_default()
    }

    fn spawn(port: u16, command: impl Fn(&Path, u16) -> Vec<String>) -> Program {
        let folder = tempfile::tempdir().unwrap();
        let words = command(folder.path(), port);
        find(&words[0]);
        let said = File::create(folder.path().join("said")).unwrap();
        let mut child = Command::new("sh")
            .args(["-c", UNTIL_LEFT, "until-left"])
            .args(words)
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        Program {
            child,
            input,
            folder,
            port,
        }
    }

    async fn is_there(&mut self) -> bool {
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        loop {
            let connected = TcpStream::connect(at).await.is_ok();
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if connected {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// Where a program is, that must be there.
pub(crate) fn find(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("{name} is nowhere on the PATH; `.ci/foreign` brings it"))
}

/// Writes a file, and says its name as a configuration wants it.
pub(crate) fn written(folder: &Path, name: &str, text: &str) -> String {
    let file = folder.join(name);
    std::fs::write(&file, text).unwrap();
    file.into_os_string().into_string().unwrap()
}
