//! Runs the Python clients of the tests.

use super::{Server, eventually, skip};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

/// The path of the interpreter. The `python3` of a version manager takes much longer to start it.
static INTERPRETER: LazyLock<Option<String>> = LazyLock::new(|| {
    let mut found = Command::new("python3");
    found.args(["-c", "import sys; print(sys.executable)"]);
    let output = found
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
});

/// The interpreter, for a test that [`python`] does not skip.
pub fn interpreter() -> &'static str {
    INTERPRETER.as_deref().expect("Python is installed")
}

/// A running Python client. Dropping it kills the process by its id.
pub struct PythonClient(Child);

impl PythonClient {
    /// Starts `python3 tests/FOLDER/SERVICE.py HOST PORT arguments`.
    pub fn start(server: &Server, folder: &str, service: &str, arguments: &[&str]) -> PythonClient {
        PythonClient::at(server.address(service), folder, service, arguments)
    }

    /// The same for a server at this address.
    pub fn at(address: SocketAddr, folder: &str, script: &str, arguments: &[&str]) -> PythonClient {
        let tests = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");
        let child = Command::new(interpreter())
            .arg("-B") // leaves no __pycache__ in the sources
            .arg(format!("{tests}/{folder}/{script}.py"))
            .args([address.ip().to_string(), address.port().to_string()])
            .args(arguments)
            .stdin(Stdio::null())
            .spawn()
            .expect("python3 starts");
        PythonClient(child)
    }

    /// Waits for the end of the client, whose checks must all have passed.
    #[track_caller]
    pub fn passes(mut self) {
        let mut status = None;
        eventually("the client ends", || {
            status = self.0.try_wait().expect("our child");
            status.is_some()
        });
        assert!(status.is_some_and(|status| status.success()));
    }
}

impl Drop for PythonClient {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether Python is installed. If not, the test is reported as skipped.
pub fn python(test: &str) -> bool {
    let found = INTERPRETER.is_some();
    if !found {
        skip(test, "no python3");
    }
    found
}
