//! The modules of `xdp-trafficgen` have an order, and each uses only those before it: data flows
//! one way.
//!
//! The check sees paths as they are written, also inside macros. It does not see a type that
//! reaches a module through another module's function. Tests may use everything.

use std::{collections::BTreeSet, path::Path};

use anyhow::{Context as _, Result};
use proc_macro2::{LineColumn, TokenStream, TokenTree};
use syn::{
    Attribute, ImplItem, Item, ItemMod, Macro, Meta, UseTree, punctuated::Punctuated,
    spanned::Spanned as _, visit::Visit,
};

use super::{File, Finding};

/// From the bottom to the top.
const ORDER: &[&str] = &[
    "units",
    "sys",
    "host",
    "packet",
    "config",
    "plan",
    "kernel",
    "stats",
    "engine",
    "diagnosis",
    "output",
    "signal",
    "cli",
    "commands",
];

const SOURCES: &str = "xdp-trafficgen/src/";

pub(super) fn check(files: &[File]) -> Result<Vec<Finding>> {
    let mut modules = Vec::new();
    for File { path, text } in files {
        let Some(module) = path.strip_prefix(SOURCES).and_then(module_of) else { continue };
        let file = syn::parse_file(text).with_context(|| format!("{path} is not Rust"))?;
        modules.push((path, module, file));
    }
    let tests: BTreeSet<Vec<String>> =
        modules.iter().flat_map(|(_, module, file)| test_modules(module, &file.items)).collect();
    let is_test =
        |module: &[String]| (1..=module.len()).any(|length| tests.contains(&module[..length]));

    let mut findings = Vec::new();
    for (path, module, file) in modules.iter().filter(|(_, module, _)| !is_test(module)) {
        let mut visitor = Visitor { path, module: module.clone(), findings: Vec::new() };
        match module.as_slice() {
            // The program itself stands above the crate.
            [program] if program == "main" => {}
            [] => visitor.top(&file.items),
            _ => visitor.visit_file(file),
        }
        findings.extend(visitor.findings);
    }
    Ok(findings)
}

/// The path of the module that a file is: empty for `lib.rs`.
fn module_of(path: &str) -> Option<Vec<String>> {
    let path = Path::new(path.strip_suffix(".rs")?);
    let mut module: Vec<String> =
        path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if module == ["lib"] || module.last().is_some_and(|name| name == "mod") {
        module.pop();
    }
    Some(module)
}

/// Modules that `module` includes for tests only.
fn test_modules(module: &[String], items: &[Item]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for item in items {
        let Item::Mod(ItemMod { attrs, ident, content, .. }) = item else { continue };
        let inner = [module, &[ident.to_string()]].concat();
        match content {
            _ if is_for_tests(attrs) => found.push(inner),
            Some((_, items)) => found.extend(test_modules(&inner, items)),
            None => {}
        }
    }
    found
}

/// `#[cfg(test)]`, or `#[cfg(all(test, …))]`.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    fn needs_test(meta: &Meta) -> bool {
        match meta {
            Meta::Path(path) => path.is_ident("test"),
            Meta::List(list) if list.path.is_ident("all") => list
                .parse_args_with(Punctuated::<Meta, syn::Token![,]>::parse_terminated)
                .is_ok_and(|conditions| conditions.iter().any(needs_test)),
            _ => false,
        }
    }
    let cfg = |attribute: &Attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<Meta>().is_ok_and(|meta| needs_test(&meta))
    };
    attributes.iter().any(cfg)
}

/// Visits one file.
struct Visitor<'a> {
    path: &'a str,
    /// The current module, in-line modules included.
    module: Vec<String>,
    findings: Vec<Finding>,
}

impl Visitor<'_> {
    /// Checks that every module of the crate has a place in the order.
    fn top(&mut self, items: &[Item]) {
        for item in items {
            if let Item::Mod(ItemMod { attrs, ident, .. }) = item
                && !is_for_tests(attrs)
                && !ORDER.contains(&ident.to_string().as_str())
            {
                let rule =
                    format!("the module `{ident}` has no place in the order: {}", ORDER.join(", "));
                self.find(ident.span().start(), rule);
            }
        }
    }

    fn find(&mut self, LineColumn { line, column }: LineColumn, rule: String) {
        self.findings.push(Finding { path: self.path.to_owned(), line, column: column + 1, rule });
    }

    /// Checks one path that is used here.
    fn uses(&mut self, written: &[String], at: LineColumn) {
        let Some(used) = resolve(&self.module, written) else { return };
        let Some(user) = self.module.first() else { return };
        let place = |module: &String| ORDER.iter().position(|name| name == module);
        if let (Some(used_at), Some(user_at)) = (place(&used), place(user))
            && used_at > user_at
        {
            let rule = format!(
                "`{}`: {user} uses only what stands before it, {}",
                written.join("::"),
                match user_at {
                    0 => "nothing".to_owned(),
                    _ => ORDER[..user_at].join(", "),
                }
            );
            self.find(at, rule);
        }
    }

    fn use_tree(&mut self, tree: &UseTree, before: &mut Vec<String>) {
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                // The segment that identifies the module: the first one that is not `crate`, `self`
                // or `super`.
                if before.iter().all(|segment| is_keyword(segment)) {
                    self.use_tree(&path.tree, before);
                } else {
                    self.uses(before, path.ident.span().start());
                }
                before.pop();
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.use_tree(tree, before);
                }
            }
            UseTree::Name(_) | UseTree::Rename(_) | UseTree::Glob(_) => {
                let name = match tree {
                    UseTree::Name(name) => name.ident.to_string(),
                    UseTree::Rename(rename) => rename.ident.to_string(),
                    _ => return,
                };
                before.push(name);
                self.uses(before, tree.span().start());
                before.pop();
            }
        }
    }

    /// Checks paths in the input of a macro, which consists of tokens.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut at = None;
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == ':' => {
                    colons += 1;
                    continue;
                }
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.path_in_tokens(&mut path, at);
                    }
                    if path.is_empty() {
                        at = Some(ident.span().start());
                    }
                    path.push(ident.to_string());
                }
                TokenTree::Group(group) => {
                    self.path_in_tokens(&mut path, at);
                    self.tokens(group.stream());
                }
                TokenTree::Literal(literal) => {
                    self.path_in_tokens(&mut path, at);
                    // A path in a string, such as `with = "crate::config::rate"`.
                    let text = literal.to_string();
                    let words: Vec<String> =
                        text.trim_matches('"').split("::").map(str::to_owned).collect();
                    self.path_in_tokens(&mut words.clone(), Some(literal.span().start()));
                }
                TokenTree::Punct(_) => self.path_in_tokens(&mut path, at),
            }
            colons = 0;
        }
        self.path_in_tokens(&mut path, at);
    }

    fn path_in_tokens(&mut self, path: &mut Vec<String>, at: Option<LineColumn>) {
        if let Some(at) = at
            && path.first().is_some_and(|first| is_keyword(first))
        {
            self.uses(path, at);
        }
        path.clear();
    }
}

impl<'ast> Visit<'ast> for Visitor<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !attributes_of(item).is_some_and(is_for_tests) {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let attributes = match item {
            ImplItem::Fn(item) => &item.attrs,
            ImplItem::Const(item) => &item.attrs,
            ImplItem::Type(item) => &item.attrs,
            _ => return syn::visit::visit_impl_item(self, item),
        };
        if !is_for_tests(attributes) {
            syn::visit::visit_impl_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        self.module.push(module.ident.to_string());
        syn::visit::visit_item_mod(self, module);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.use_tree(&item.tree, &mut Vec::new());
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let written: Vec<String> =
            path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if written.first().is_some_and(|first| is_keyword(first)) {
            self.uses(&written, path.span().start());
        }
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, invoked: &'ast Macro) {
        self.visit_path(&invoked.path);
        self.tokens(invoked.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        // Documentation may name the modules that use this one.
        if let Meta::List(list) = &attribute.meta
            && !attribute.path().is_ident("doc")
        {
            self.tokens(list.tokens.clone());
        }
    }
}

fn attributes_of(item: &Item) -> Option<&[Attribute]> {
    Some(match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => return None,
    })
}

fn is_keyword(segment: &str) -> bool {
    ["crate", "self", "super"].contains(&segment)
}

/// The top-level module of the crate that a path written in `module` leads to; none where it leads
/// to another crate or into its own module.
fn resolve(module: &[String], written: &[String]) -> Option<String> {
    let mut at = match written.first()?.as_str() {
        "crate" => Vec::new(),
        "self" | "super" => module.to_vec(),
        _ => return None,
    };
    for segment in written {
        match segment.as_str() {
            "crate" | "self" => {}
            "super" => _ = at.pop(),
            name => at.push(name.to_owned()),
        }
    }
    at.into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(files: &[(&str, &str)]) -> Vec<String> {
        let file = |&(path, text): &(&str, &str)| File {
            path: SOURCES.to_owned() + path,
            text: text.to_owned(),
        };
        let files: Vec<File> = files.iter().map(file).collect();
        super::check(&files).unwrap().iter().map(ToString::to_string).collect()
    }

    /// Checks that `host/link.rs` with this text has findings at these places.
    #[track_caller]
    fn check(text: &str, places: &[&str]) {
        let found = findings(&[("host/link.rs", text)]);
        let expected = places.iter().map(|place| format!("{SOURCES}host/link.rs:{place}: "));
        let matches = found.len() == places.len()
            && found.iter().zip(expected).all(|(found, place)| found.starts_with(&place));
        assert!(matches, "{text}\n{found:#?}");
    }

    #[test]
    fn a_planted_backward_import_is_found() {
        check("use crate::kernel::Generator;", &["1:12"]);
        check("use crate::{units::Nanos, plan::{Plan, Port}};", &["1:27"]);
        check("use super::super::engine;", &["1:19"]);
        check("pub use crate::stats as numbers;", &["1:16"]);
        check("fn f() {\n    crate::output::emit();\n}", &["2:5"]);
        check("fn f(plan: &crate::plan::Plan) {}", &["1:13"]);
        check("impl From<super::super::config::Config> for Link {}", &["1:11"]);
        check("mod inner { use super::super::super::commands::run; }", &["1:38"]);
    }

    #[test]
    fn earlier_modules_may_be_used() {
        check(
            "use crate::{sys, units::Nanos};\nuse super::Driver;\nuse std::{fmt, path::Path};\nuse aya::plan;",
            &[],
        );
        check("mod plan { pub fn f() {} }\nfn g() { plan::f(); self::plan::f() }", &[]);
        check("/// For [`crate::plan`].\nfn f() {}", &[]);
    }

    #[test]
    fn paths_in_macros_and_attributes_are_paths() {
        check("fn f() { println!(\"{}\", crate::engine::NAME); }", &["1:25"]);
        check("fn f() { vec![(1, [super::super::plan::NAME])]; }", &["1:20"]);
        check("#[serde(with = \"crate::output::nanos\")]\nstruct S;", &["1:16"]);
        check("fn f() { println!(\"{}\", crate::units::NAME); }", &[]);
    }

    #[test]
    fn tests_may_use_everything() {
        check("#[cfg(test)]\nmod tests { use crate::engine::Loaded; }", &[]);
        check("#[cfg(all(test, unix))]\nuse crate::engine::Loaded;", &[]);
        check("impl Link { #[cfg(test)] fn f() { crate::plan::plan() } }", &[]);
        check("#[cfg(not(test))]\nuse crate::engine::Loaded;", &["2:12"]);
        let beside = [
            ("host/link.rs", "#[cfg(test)]\nmod tests;"),
            ("host/link/tests.rs", "mod rates;\nuse crate::engine::Loaded;"),
            ("host/link/tests/rates.rs", "use crate::plan::Plan;"),
        ];
        assert_eq!(findings(&beside), Vec::<String>::new());
        assert_eq!(findings(&beside[1..]).len(), 2);
    }

    #[test]
    fn a_module_without_a_place_is_found() {
        let found =
            findings(&[("lib.rs", "pub mod units;\nmod helpers;\n#[cfg(test)]\nmod tests;")]);
        let [found] = found.as_slice() else { panic!("{found:?}") };
        assert!(
            found.starts_with("xdp-trafficgen/src/lib.rs:2:5: the module `helpers`"),
            "{found}"
        );
    }

    #[test]
    fn the_program_stands_above_all() {
        assert_eq!(
            findings(&[("main.rs", "use crate::commands;"), ("lib.rs", "//! Of [`plan`].")]),
            Vec::<String>::new()
        );
    }
}
