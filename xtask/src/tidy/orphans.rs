//! Every source file is compiled. The compiler does not report a file that no `mod` names, and the
//! tests in it never run.

use super::{File, Finding};

/// Folders whose files are the modules of a crate. Files directly in them are crate roots, or
/// modules of `lib.rs` or `main.rs`.
const CRATES: &[&str] =
    &["xdp-trafficgen/src", "xdp-trafficgen/tests/it", "xdp-trafficgen-ebpf/src", "xtask/src"];

pub(super) fn check(files: &[File]) -> Vec<Finding> {
    files.iter().filter_map(|file| orphan(&file.path, files)).collect()
}

fn orphan(path: &str, files: &[File]) -> Option<Finding> {
    let module = path.strip_suffix(".rs")?;
    let (folder, name) = module.rsplit_once('/')?;
    let within = CRATES.iter().find(|of| {
        folder == **of || folder.strip_prefix(**of).is_some_and(|rest| rest.starts_with('/'))
    })?;
    let parents = if folder == *within {
        vec![format!("{folder}/lib.rs"), format!("{folder}/main.rs")]
    } else {
        vec![format!("{folder}.rs")]
    };
    let is_root = folder == *within && matches!(name, "lib" | "main") || folder.ends_with("/bin");
    let names = |text: &str| {
        text.lines().any(|line| line.trim().trim_end_matches(';').ends_with(&format!("mod {name}")))
    };
    let named = files.iter().any(|file| parents.contains(&file.path) && names(&file.text));
    (!is_root && !named).then(|| Finding {
        path: path.to_owned(),
        line: 1,
        column: 1,
        rule: format!("no `mod {name};` in {}: nobody compiles this", parents.join(" or ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_tree(files: &[(&str, &str)], orphans: &[&str]) {
        let file =
            |&(path, text): &(&str, &str)| File { path: path.to_owned(), text: text.to_owned() };
        let files: Vec<File> = files.iter().map(file).collect();
        let found: Vec<_> = check(&files).into_iter().map(|finding| finding.path).collect();
        assert_eq!(found, orphans);
    }

    #[test]
    fn a_file_that_no_module_names_is_found() {
        let root = ("xtask/src/main.rs", "pub(crate) mod tidy;\n");
        let tidy = ("xtask/src/tidy.rs", "#[cfg(test)]\nmod tests;\n");
        check_tree(&[root, tidy, ("xtask/src/tidy/tests.rs", "")], &[]);
        check_tree(
            &[root, ("xtask/src/tidy.rs", ""), ("xtask/src/tidy/tests.rs", "")],
            &["xtask/src/tidy/tests.rs"],
        );
        check_tree(&[root, tidy, ("xtask/src/lost.rs", "")], &["xtask/src/lost.rs"]);
        check_tree(
            &[("xdp-trafficgen/src/bin/tool.rs", ""), ("xdp-trafficgen/examples/send.rs", "")],
            &[],
        );
    }
}
