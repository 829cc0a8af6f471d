//! A folder of its own for each test, and the binary run in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A folder in which commands run. Its name has a space, since users' folders have.
pub(crate) struct Scratch {
    _parent: TempDir,
    folder: PathBuf,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("a folder");
        fs::create_dir(&folder).unwrap();
        Self { _parent: parent, folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// The binary with these arguments, free of the environment's settings.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_datalake"));
        command.args(arguments).current_dir(&self.folder).stdin(Stdio::null());
        for variable in
            ["DATALAKE_URL", "DATALAKE_THREADS", "DATALAKE_BUCKET_PREFIX", "DATALAKE_BUCKETS", "AWS_PROFILE"]
        {
            command.env_remove(variable);
        }
        // Nor by the profile of who runs the tests.
        command.env("XDG_CONFIG_HOME", self.folder.join("config"));
        command
    }

    /// Runs the binary to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().unwrap())
    }

    /// Runs the binary, which must succeed, and gives its stdout.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(0), "datalake {arguments:?}\n{}\n{}", ran.stdout, ran.stderr);
        ran.stdout
    }

    /// Every file below the folder, sorted, relative to it.
    pub(crate) fn files(&self, below: &str) -> Vec<String> {
        let mut found = Vec::new();
        collect(&self.path(below), &mut found);
        let mut names: Vec<String> =
            found.iter().map(|path| path.strip_prefix(&self.folder).unwrap().display().to_string()).collect();
        names.sort();
        names
    }
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() { collect(&path, found) } else { found.push(path) }
    }
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Asserts how it failed: the exit code, and words that stderr must hold.
    pub(crate) fn failed(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for word in words {
            assert!(self.stderr.contains(word), "`{word}` is not in\n{}", self.stderr);
        }
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
    }
}

/// The digests of all outputs of a run, by object, from its JSON manifest.
pub(crate) fn digests(manifest: &str) -> Vec<(String, String)> {
    let manifest: serde_json::Value = serde_json::from_str(manifest).unwrap();
    let steps = manifest["steps"].as_array().unwrap();
    let outputs = steps.iter().flat_map(|step| step["report"]["outputs"].as_array().unwrap());
    outputs
        .filter_map(|output| Some((output["path"].as_str().unwrap().to_owned(), output["digest"].as_str()?.to_owned())))
        .collect()
}
