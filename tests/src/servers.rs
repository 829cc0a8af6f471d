//! Real servers for tests: started on loopback, ended with the value.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::package_folder;

/// What a script says where no server can be built.
const NO_TOOLCHAIN: i32 = 3;

/// A server with data and keys of its own, that a script starts and stops.
#[derive(Debug)]
pub struct Server {
    script: &'static str,
    variables: BTreeMap<String, String>,
    folder: TempDir,
}

impl Server {
    /// MinIO, by `tests/minio.sh`. None, and a loud line, on a machine without Go.
    ///
    /// # Panics
    /// If it could be built, but does not start.
    #[must_use]
    pub fn minio() -> Option<Self> {
        Self::start("minio.sh")
    }

    /// versitygw, by `tests/versitygw.sh`. None, and a loud line, on a machine without Go.
    ///
    /// # Panics
    /// If it could be built, but does not start.
    #[must_use]
    pub fn versitygw() -> Option<Self> {
        Self::start("versitygw.sh")
    }

    fn start(name: &'static str) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let owner = std::process::id().to_string();
        let output = script(name, &["start".as_ref(), folder.path().as_os_str(), owner.as_ref()]);
        if output.status.code() == Some(NO_TOOLCHAIN) {
            loud(&format!("SKIPPED: this test needs a server of {name}, which needs Go to be built"));
            return None;
        }
        let (text, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{name} start: {complaint}");
        let variables = text.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Some(Self { script: name, variables, folder })
    }

    /// The endpoint, such as `http://127.0.0.1:23456`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.variables["DATALAKE_URL"]
    }

    /// The folder in which it keeps what it knows.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The variables that lead a process to it: `DATALAKE_URL` and `AWS_*`.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        let shown = self.variables.iter().filter(|(name, _)| !name.ends_with("_PID"));
        shown.map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = self.variables.iter().find(|(name, _)| name.ends_with("_PID"));
        if let Some((_, pid)) = pid {
            script(self.script, &["stop".as_ref(), pid.as_ref()]);
        }
    }
}

fn script(name: &str, arguments: &[&std::ffi::OsStr]) -> Output {
    let script = package_folder().join(name);
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
