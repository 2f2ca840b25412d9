//! The workspace, and cargo in it.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The cargo that runs this program, in the folder of the workspace.
pub fn cargo<S: AsRef<OsStr>>(arguments: &[S]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments).current_dir(workspace());
    command
}

/// The folder of the workspace.
pub fn workspace() -> PathBuf {
    let mut folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    folder.pop();
    folder
}

/// What cargo prints.
///
/// # Errors
/// It cannot be started, or fails; what it says about that is in the message.
pub fn output<S: AsRef<OsStr>>(arguments: &[S]) -> Result<String> {
    let mut command = cargo(arguments);
    let output = command.output().context("cannot start cargo")?;
    ensure!(
        output.status.success(),
        "{command:?} ended with {}:\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// What `cargo metadata` says about the workspace, without its dependencies.
///
/// # Errors
/// Cargo fails, or prints something else.
pub fn metadata() -> Result<Metadata> {
    let text = output(&["metadata", "--format-version", "1", "--no-deps"])?;
    serde_json::from_str(&text).context("cargo metadata printed something else than it used to")
}

/// The parts of `cargo metadata` that are used here.
#[derive(Debug, Deserialize)]
pub struct Metadata {
    pub packages: Vec<Package>,
    pub target_directory: PathBuf,
}

/// A package of the workspace.
#[derive(Debug, Deserialize)]
pub struct Package {
    pub name: String,
    pub manifest_path: PathBuf,
    /// The registries that it may be published to: all if it is `None`, none if it is empty.
    pub publish: Option<Vec<String>>,
    pub dependencies: Vec<Dependency>,
    pub targets: Vec<Target>,
}

impl Package {
    /// The folder of the package.
    pub fn folder(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(&self.manifest_path)
    }

    /// Whether it is made to be published.
    pub fn is_published(&self) -> bool {
        self.publish.as_ref().is_none_or(|to| !to.is_empty())
    }
}

/// What a package depends on.
#[derive(Debug, Deserialize)]
pub struct Dependency {
    pub name: String,
    /// The versions that it takes: `*` if the manifest names none.
    pub req: String,
    /// `None` for an ordinary dependency, else `dev` or `build`.
    pub kind: Option<String>,
    /// The folder of a package of this workspace.
    pub path: Option<PathBuf>,
}

/// Something that cargo compiles: a library, a program, an example, ..
#[derive(Debug, Deserialize)]
pub struct Target {
    pub name: String,
    pub kind: Vec<String>,
    #[serde(default, rename = "required-features")]
    pub required_features: Vec<String>,
}
