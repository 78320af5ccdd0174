//! A host outside the workspace: the README's example, its manifest from the README, our crates from the
//! packages that would be published, one backend compiled in.

use std::path::Path;
use std::process::Command;

use super::Outcome;
use super::examples::embedded;
use super::markdown::{Block, blocks, unhidden};
use super::publish::allow_changes;
use super::tree::{SERVER_CLIENTS, compiled, found};
use crate::failure::{Context, Result};
use crate::process;
use crate::scratch::{self, Scratch};
use crate::workspace::Workspace;

/// The one backend of the host.
const FEATURE: &str = "embedded";

pub(super) fn run(workspace: &Workspace) -> Result<Outcome> {
    let readme = std::fs::read_to_string(workspace.root.join("README.md")).context("README.md")?;
    let blocks = blocks(&readme);
    let program = program(&blocks).context("the README has no ```rust block with a main function")?;
    let dependencies =
        dependencies(&blocks).context("the README has no ```toml block with [dependencies]")?;

    let folder = workspace.target.join("host-check");
    scratch::empty(&folder)?;
    unpack(workspace, &folder.join("crates"))?;
    let host = folder.join("host");
    let write = |name: &str, text: &str| {
        let path = host.join(name);
        std::fs::create_dir_all(host.join("src"))
            .and_then(|()| std::fs::write(&path, text))
            .context(path.display())
    };
    write("Cargo.toml", &manifest(workspace, &dependencies))?;
    write("src/main.rs", &program)?;
    // The versions that were tested, and no look at what the registry has today.
    std::fs::copy(workspace.root.join("Cargo.lock"), host.join("Cargo.lock")).context("Cargo.lock")?;

    let data = Scratch::new(&workspace.target, "host-data")?;
    let mut cargo = cargo(&host, "run");
    cargo.arg("--target-dir").arg(&workspace.target);
    embedded(&mut cargo, data.path());
    process::run(&mut cargo)?;

    let crates = compiled(cargo_tree(&host).args(["--edges", "normal"]))?;
    let clients = found(&crates, SERVER_CLIENTS);
    println!("the host compiles {} crates", crates.len());
    if clients.is_empty() {
        Ok(Outcome::Passed)
    } else {
        Err(format!("a host with only {FEATURE} compiles {}", clients.join(", ")).into())
    }
}

fn cargo(host: &Path, verb: &str) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(host).arg(verb);
    cargo
}

fn cargo_tree(host: &Path) -> Command {
    cargo(host, "tree")
}

/// Packs the published crates and unpacks each into `<folder>/<name>`.
fn unpack(workspace: &Workspace, folder: &Path) -> Result<()> {
    let mut package = workspace.cargo(["package", "--no-verify"]);
    for member in workspace.published() {
        package.args(["--package", &member.name]);
    }
    allow_changes(workspace, &mut package);
    process::run(&mut package)?;
    std::fs::create_dir_all(folder).context(folder.display())?;
    for member in workspace.published() {
        let unpacked = format!("{}-{}", member.name, member.version);
        let archive = workspace.target.join("package").join(format!("{unpacked}.crate"));
        process::run(
            Command::new("tar")
                .arg("-xzf")
                .arg(&archive)
                .arg("-C")
                .arg(folder),
        )?;
        std::fs::rename(folder.join(&unpacked), folder.join(&member.name)).context(unpacked)?;
    }
    Ok(())
}

/// The first example of the README that is a whole program.
fn program(blocks: &[Block]) -> Option<String> {
    let code = blocks
        .iter()
        .filter(|block| block.language == "rust")
        .map(|block| unhidden(&block.text));
    let mut programs = code.filter(|code| code.contains("fn main("));
    programs.next()
}

/// The lines of the README's `[dependencies]`, without that of the facade.
fn dependencies(blocks: &[Block]) -> Option<String> {
    let mut tables = blocks
        .iter()
        .filter(|block| block.language == "toml")
        .filter_map(|block| {
            let (_, table) = block.text.split_once("[dependencies]\n")?;
            let lines = table.lines().take_while(|line| !line.starts_with('['));
            let others = lines.filter(|line| !line.replace(' ', "").starts_with("kaireon="));
            Some(others.fold(String::new(), |all, line| all + line + "\n"))
        });
    tables.next()
}

fn manifest(workspace: &Workspace, dependencies: &str) -> String {
    let published = workspace.published();
    let patches = published.map(|member| format!("{0} = {{ path = \"../crates/{0}\" }}\n", member.name));
    let facade = workspace
        .packages
        .iter()
        .find(|package| package.name == "kaireon");
    let version = facade.map_or("*", |package| package.version.as_str());
    format!(
        "[package]\nname = \"kaireon-host\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n\
         [workspace]\n\n\
         [dependencies]\n\
         kaireon = {{ version = \"={version}\", default-features = false, features = [\"{FEATURE}\"] }}\n\
         {dependencies}\n\
         [patch.crates-io]\n{}\n\
         # As in the workspace, so that what is compiled already is not compiled again.\n\
         [profile.dev]\ndebug = \"line-tables-only\"\n[profile.dev.package.\"*\"]\ndebug = false\n",
        patches.collect::<String>(),
    )
}

#[cfg(test)]
mod tests {
    use super::{dependencies, program};
    use crate::ci::markdown::blocks;

    #[test]
    fn the_host_is_written_from_the_readme() {
        let page = "```toml\n[dependencies]\nkaireon = \"0.1\"\ntokio = { version = \"1\" }\n\n[features]\nx = []\n```\n\
                    ```rust\nlet x = 1;\n```\n```rust\n# #[tokio::main]\nasync fn main() {}\n```\n";
        let blocks = blocks(page);
        assert_eq!(dependencies(&blocks).unwrap(), "tokio = { version = \"1\" }\n\n");
        assert_eq!(program(&blocks).unwrap(), "#[tokio::main]\nasync fn main() {}\n");
        assert_eq!(dependencies(&[]), None);
        assert_eq!(program(&[]), None);
    }
}
