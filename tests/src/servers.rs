//! Real servers for tests: started on loopback, ended with the value.

use std::collections::BTreeMap;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::package_folder;

/// What `minio.sh` says where no server can be built.
const NO_TOOLCHAIN: i32 = 3;

/// A MinIO server with data of its own; see `tests/minio.sh`.
#[derive(Debug)]
pub struct Minio {
    variables: BTreeMap<String, String>,
    _data: TempDir,
}

impl Minio {
    /// Starts a server, which is built first if need be. `None`, and a loud line, on a machine without Go.
    ///
    /// # Panics
    /// If the server could be built, but does not start.
    #[must_use]
    pub fn start() -> Option<Self> {
        let data = tempfile::tempdir().expect("a temporary folder");
        let owner = std::process::id().to_string();
        let output = script(&["start".as_ref(), data.path().as_os_str(), owner.as_ref()]);
        if output.status.code() == Some(NO_TOOLCHAIN) {
            loud("SKIPPED: this test needs a MinIO server, which needs Go to be built");
            return None;
        }
        let (text, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "minio.sh start: {complaint}");
        let variables = text.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Some(Self { variables, _data: data })
    }

    /// The endpoint, such as `http://127.0.0.1:23456`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.variables["DATALAKE_URL"]
    }

    /// The variables that lead a process to this server: `DATALAKE_URL` and `AWS_*`.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        let shown = self.variables.iter().filter(|(name, _)| *name != "MINIO_PID");
        shown.map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl Drop for Minio {
    fn drop(&mut self) {
        script(&["stop".as_ref(), self.variables["MINIO_PID"].as_ref()]);
    }
}

fn script(arguments: &[&std::ffi::OsStr]) -> Output {
    let script = package_folder().join("minio.sh");
    Command::new(&script).args(arguments).output().unwrap_or_else(|cause| panic!("{}: {cause}", script.display()))
}

/// A line that is seen even where the output of passing tests is not shown.
#[expect(clippy::print_stderr, reason = "a skipped test must not look like a passed one")]
fn loud(line: &str) {
    use std::io::Write;
    // The test harness captures `eprintln!`, not the stream beneath.
    let _ = writeln!(std::io::stderr(), "{line}");
    eprintln!("{line}");
}
