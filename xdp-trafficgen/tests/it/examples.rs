//! The examples for Rust programs do what they say.

#[path = "../../examples/plan.rs"]
#[expect(dead_code, reason = "its main is for a program of its own")]
mod plan;
#[path = "../../examples/send.rs"]
#[expect(dead_code, reason = "its main is for a program of its own")]
mod send;

use crate::harness::{RECEIVER_MAC, Stage, assert_arrived, sink};

#[test]
fn a_plan_needs_no_kernel() {
    let mut shown = Vec::new();
    plan::show(&mut shown).unwrap();
    let shown = String::from_utf8(shown).unwrap();
    assert!(shown.contains("port west sends out of eth1 on CPUs [0, 1]"), "{shown}");
    assert!(shown.contains("flow backup: frames of 1518 bytes, 1000000 frames"), "{shown}");
}

#[test]
fn a_million_frames_are_sent_and_counted() {
    let Some(_stage) = Stage::set() else { return };
    let sink = sink("xtg1");
    let mut shown = Vec::new();
    send::send("xtg0", RECEIVER_MAC, &mut shown).unwrap();
    let shown = String::from_utf8(shown).unwrap();
    assert_eq!(shown, "1000000 attempted, 1000000 taken by the driver of xtg0\n");
    assert_arrived(&sink, 1_000_000);
}
