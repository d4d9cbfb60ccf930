use super::*;
use crate::config::{Source, file};

const BEST: Settings<'_> = Settings { action: Action::Tx, cpus: &[0, 1, 2, 5], batch_size: 128 };

fn parse(text: &str) -> Config {
    file::parse(Source::file("test.toml", text)).unwrap_or_else(|wrong| panic!("{text}\n{wrong}"))
}

/// Checks the file with [`BEST`] in its ports that send by `e`, and that parsing it gives those
/// settings.
#[track_caller]
fn check(text: &str, expected: &str) -> Stored {
    let stored = store(&parse(text), "e", BEST).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_eq!(stored.text, expected);
    let (before, after) = (parse(text), parse(&stored.text));
    assert_eq!(before.flows.len(), after.flows.len());
    for (before, after) in before.ports.iter().zip(&after.ports) {
        let settings = |port: &Port| {
            (port.cpus.as_ref().map(|cpus| cpus.value.clone()), port.batch_size.value)
        };
        let has = stored.ports.contains(&after.name.value);
        assert_eq!(
            settings(after),
            if has { (Some(BEST.cpus.to_vec()), BEST.batch_size) } else { settings(before) }
        );
        let changes = has && !stored.kept_action.contains(&after.name.value);
        assert_eq!(after.action.value, if changes { BEST.action } else { before.action.value });
    }
    // Storing the same settings again changes nothing.
    assert_eq!(
        store(&after, "e", BEST).unwrap_or_else(|wrong| panic!("{wrong}")).text,
        stored.text
    );
    stored
}

const FLOW: &str = "[[flows]]\nname = 'f'\nport = 'p'\npacket = [{ ethernet = {} }]\n";

#[test]
fn values_are_replaced_where_they_stand() {
    check(
        &format!(
            "# mine\n[[ports]]\n'name'='p'\n  cpus   =   [ 7 , # seven\n 8 ] # why\ninterface = \"e\"   # here\n\
             action='redirect'#x\nbatch_size = 6_4\n\n# tail\n{FLOW}# end"
        ),
        &format!(
            "# mine\n[[ports]]\n'name'='p'\n  cpus   =   \"0-2,5\" # why\ninterface = \"e\"   # here\naction=\"tx\"#x\n\
             batch_size = 128\n\n# tail\n{FLOW}# end"
        ),
    );
}

#[test]
fn missing_keys_come_after_the_interface() {
    let lines = BEST.lines();
    check(
        &format!("[[ports]]\nname = 'p'\ninterface = 'e' # west\nrate.poisson = '5pps'\n\n{FLOW}"),
        &format!(
            "[[ports]]\nname = 'p'\ninterface = 'e' # west\n{lines}rate.poisson = '5pps'\n\n{FLOW}"
        ),
    );
    check(
        &format!(
            "{FLOW}[[ports]]\n\tbatch_size = 128 # as it is\n\tinterface = 'e'\n\tname = 'p'\n"
        ),
        &format!(
            "{FLOW}[[ports]]\n\tbatch_size = 128 # as it is\n\tinterface = 'e'\n\tcpus = \"0-2,5\"\n\taction = \"tx\"\n\
             \tname = 'p'\n"
        ),
    );
    // The last line of this file has no line end.
    check(
        &format!("{FLOW}[[ports]]\nname = 'p'\ninterface = 'e' # end"),
        &format!("{FLOW}[[ports]]\nname = 'p'\ninterface = 'e' # end\n{}", lines.trim_end()),
    );
}

#[test]
fn ports_in_braces() {
    check(
        &format!("ports = [{{ name = 'p', interface = 'e', cpus = 1 }}]\n{FLOW}"),
        &format!(
            "ports = [{{ name = 'p', interface = 'e', batch_size = 128, action = \"tx\", cpus = \"0-2,5\" }}]\n{FLOW}"
        ),
    );
    let missing = ", cpus = \"0-2,5\", batch_size = 128, action = \"tx\"";
    check(
        &format!(
            "ports = [\n  {{\n    name = 'p',\n    interface = 'e', # west\n  }}, # one\n]\n{FLOW}"
        ),
        &format!(
            "ports = [\n  {{\n    name = 'p',\n    interface = 'e'{missing}, # west\n  }}, # one\n]\n{FLOW}"
        ),
    );
}

#[test]
fn line_ends_and_byte_order_marks_stay() {
    let windows = |text: &str| format!("\u{feff}{}", text.replace('\n', "\r\n"));
    check(
        &windows(&format!("[[ports]]\nname = 'p'\ninterface = 'e'\ncpus = 0\n{FLOW}")),
        &windows(&format!(
            "[[ports]]\nname = 'p'\ninterface = 'e'\nbatch_size = 128\naction = \"tx\"\ncpus = \"0-2,5\"\n{FLOW}"
        )),
    );
}

#[test]
fn only_the_ports_that_send_out_of_it() {
    let flow = |name: &str| {
        format!("[[flows]]\nname = '{name}'\nport = '{name}'\npacket = [{{ ethernet = {{}} }}]\n")
    };
    let flows = ["a", "b"].map(flow).concat();
    let port = |name: &str, rest: &str| format!("[[ports]]\nname = '{name}'\n{rest}\n");
    let other = port("b", "interface = 'f'\nbatch_size = 1");
    let stored = check(
        &(port("a", "interface = 'e'") + &other + &flows),
        &(port("a", &format!("interface = 'e'\n{}", BEST.lines().trim_end())) + &other + &flows),
    );
    assert_eq!((stored.ports, stored.kept_action), (vec!["a".to_owned()], Vec::new()));
    // Frames of `b` leave by its ingress; with another action they would leave by `f`, and those of
    // `a` by `g`.
    let stored = check(
        &(port("a", "interface = 'e'\ningress = 'g'")
            + &port("b", "interface = 'f'\ningress = 'e'\naction = 'tx'")
            + &flows),
        &(port("a", "interface = 'e'\ncpus = \"0-2,5\"\nbatch_size = 128\ningress = 'g'")
            + &port(
                "b",
                "interface = 'f'\ncpus = \"0-2,5\"\nbatch_size = 128\ningress = 'e'\naction = 'tx'",
            )
            + &flows),
    );
    assert_eq!(
        (stored.ports, stored.kept_action),
        (vec!["a".to_owned(), "b".to_owned()], vec!["a".to_owned()])
    );
}

#[test]
fn a_file_without_such_a_port() {
    #[track_caller]
    fn check(port: &str, help: &str) {
        let config = parse(&format!("[[ports]]\nname = 'p'\ninterface = 'f'\n{port}\n{FLOW}"));
        let wrong = store(&config, "e", BEST).unwrap_err();
        let [diagnostic] = wrong.list() else { panic!("{wrong}") };
        assert!(
            diagnostic.message.contains("sends out of `e`") && diagnostic.help.contains(help),
            "{wrong}"
        );
    }
    check("", "they send out of f:");
    check("ingress = 'e'", "they send out of f:");
    check("action = 'drop'", "none of them sends");
}

#[test]
fn a_new_file_means_what_it_says() {
    #[track_caller]
    fn check(interface: &str, dst_mac: Option<&str>) {
        let text = new_file(interface, dst_mac, 1518, BEST);
        let Config { ports, flows, .. } = parse(&text);
        let ([port], [flow]) = (&ports[..], &flows[..]) else { panic!("{text}") };
        assert_eq!((&*port.interface.value, leaves_by(port)), (interface, Some(interface)));
        let cpus = port.cpus.as_ref().map(|cpus| &cpus.value[..]);
        assert_eq!(
            (cpus, port.batch_size.value, port.action.value),
            (Some(BEST.cpus), 128, Action::Tx)
        );
        assert_eq!(
            (flow.size.value.largest(), flow.duration.is_some(), flow.packet.len()),
            (1518, true, 3)
        );
        assert_eq!(flow.packet[0].fields.len(), usize::from(dst_mac.is_some()));
        assert!(text.lines().all(|line| line.len() <= 128), "{text}");
        // Later settings can be stored in the new file.
        let other = Settings { action: Action::Redirect, cpus: &[3], batch_size: 16 };
        let stored =
            store(&parse(&text), interface, other).unwrap_or_else(|wrong| panic!("{wrong}"));
        assert_eq!(stored.text, new_file(interface, dst_mac, 1518, other));
    }
    check("eth1", Some("02:00:00:00:00:02"));
    check("eth1.100", None);
    check("a\"b\\c'", None);
}
