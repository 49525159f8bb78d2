//! A Unix socket in front of a server: what comes in at the one goes on to the other, whose books tell of it.
//!
//! ```
//! use httputil_tests::server::Server;
//! use httputil_tests::unix::UnixDoor;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let server = Server::builder().start().await;
//! let door = UnixDoor::to(server.addr());
//! assert!(door.base_url().starts_with("unix:/"));
//! # }
//! ```

use std::net::SocketAddr;
use std::path::PathBuf;

use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpStream, UnixListener};

use crate::tasks::Tasks;

/// A listening socket. Dropping it closes all that came through, and takes the file away.
#[derive(Debug)]
pub struct UnixDoor {
    folder: TempDir,
    tasks: Tasks,
}

impl UnixDoor {
    /// Opens a door to the server at this address. Each connection through it is one of the server's.
    #[must_use]
    pub fn to(server: SocketAddr) -> Self {
        let door = Self {
            folder: TempDir::new().expect("a temporary folder can be made"),
            tasks: Tasks::default(),
        };
        let listener = UnixListener::bind(door.path()).expect("nobody else has this path");
        let tasks = door.tasks.clone();
        door.tasks.spawn(async move {
            while let Ok((mut inside, _)) = listener.accept().await {
                tasks.spawn(async move {
                    if let Ok(mut outside) = TcpStream::connect(server).await {
                        // How it ends is in the server's books.
                        let _ = copy_bidirectional(&mut inside, &mut outside).await;
                    }
                });
            }
        });
        door
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("app.sock")
    }

    /// The same as a `base_url`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("unix:{}", self.path().display())
    }
}

impl Drop for UnixDoor {
    fn drop(&mut self) {
        self.tasks.abort();
    }
}
