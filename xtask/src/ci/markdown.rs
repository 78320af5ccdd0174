//! The parts of a Markdown page that can be checked: fenced blocks and links.

/// A fenced block.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// The first word after the fence.
    pub(super) language: String,
    pub(super) text: String,
}

/// The fenced blocks of a page.
pub(super) fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in page.lines() {
        match (line.trim_start().strip_prefix("```"), open.take()) {
            (Some(_), Some(block)) => blocks.push(block),
            (Some(info), None) => {
                let language = info.split([',', ' ']).next().unwrap_or_default().to_owned();
                open = Some(Block {
                    language,
                    text: String::new(),
                });
            }
            (None, Some(mut block)) => {
                block.text.push_str(line);
                block.text.push('\n');
                open = Some(block);
            }
            (None, None) => {}
        }
    }
    blocks
}

/// The targets of `[text](target)`, outside fenced blocks.
pub(super) fn links(page: &str) -> Vec<String> {
    let mut fenced = false;
    let mut links = Vec::new();
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        let starts = line.split("](").skip(1);
        links.extend(
            starts
                .filter_map(|rest| rest.split_once(')'))
                .map(|(target, _)| target.to_owned()),
        );
    }
    links
}

/// What rustdoc compiles of a block: the lines that it hides are there, without their mark.
pub(super) fn unhidden(code: &str) -> String {
    let lines = code.lines().map(|line| match line.trim_start() {
        "#" => "",
        trimmed => trimmed.strip_prefix("# ").unwrap_or(line),
    });
    lines.fold(String::new(), |all, line| all + line + "\n")
}

#[cfg(test)]
mod tests {
    use super::{blocks, links, unhidden};

    const PAGE: &str = "# A\n[b](docs/b.md) and [c](#c)\n```rust,no_run\n# use x;\n#[a]\nfn main() {}\n```\n```\n[no](link)\n```\n";

    #[test]
    fn blocks_have_their_language_and_text() {
        let blocks = blocks(PAGE);
        assert_eq!(blocks.len(), 2);
        assert_eq!(blocks[0].language, "rust");
        assert_eq!(unhidden(&blocks[0].text), "use x;\n#[a]\nfn main() {}\n");
        assert_eq!(
            (blocks[1].language.as_str(), blocks[1].text.as_str()),
            ("", "[no](link)\n")
        );
    }

    #[test]
    fn links_are_found_outside_of_blocks() {
        assert_eq!(links(PAGE), ["docs/b.md", "#c"]);
    }
}
