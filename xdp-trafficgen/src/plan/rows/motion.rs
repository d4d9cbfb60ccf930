//! How a flow's rows move on: what each word grows by, and the registers that put it right.

use std::collections::BTreeMap;

use xdp_trafficgen_ebpf::abi::{Effect, NEVER, Register};

use super::{
    Form, Layout, MAX_ROW_WORDS, Tables,
    cycle::{Role, index_at},
    pieces::{Piece, digits, pieces},
};
use crate::plan::varying::{Index, MODULUS, OutputTarget, Step, Values, small};

/// What a register counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RegisterKind {
    /// The index of this driver.
    Index(usize),
    /// A part of a field that carries into the next one. `negative`: how far it is from its largest
    /// value.
    Piece { piece: Piece, negative: bool },
    /// A checksum of the flow, above its smallest value; `negative`: below its largest.
    Checksum { number: usize, negative: bool },
    /// Nothing: it has effects in every frame.
    EachFrame,
}

/// A register of each row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RegisterForm {
    pub(super) kind: RegisterKind,
    pub(super) limit: u64,
    delta: u64,
    effects: u32,
    effect_count: u32,
}

impl RegisterForm {
    /// With this value in the row's first frame.
    pub(super) fn register(&self, value: u64) -> Register {
        let room = self.limit.saturating_sub(value);
        let due =
            room.checked_div(self.delta).map_or(NEVER, |moves| NEVER.min(moves.saturating_add(1)));
        Register {
            due,
            value,
            delta: self.delta,
            limit: self.limit,
            effects: self.effects,
            effect_count: self.effect_count,
            ..Register::NONE
        }
    }
}

/// How all rows of a flow move on.
#[derive(Clone, Debug)]
pub(super) struct Motion {
    pub(super) deltas: [u64; MAX_ROW_WORDS],
    pub(super) registers: Vec<RegisterForm>,
    /// How far each driver's index moves.
    pub(super) advances: Vec<u64>,
}

/// A register while its effects are worked out.
struct Draft {
    kind: RegisterKind,
    limit: u64,
    delta: u64,
    effects: Vec<Effect>,
    /// Of a part that carries: itself, and the one above it.
    parts: Option<[Piece; 2]>,
}

impl Draft {
    const fn new(kind: RegisterKind, limit: u64) -> Self {
        Self { kind, limit, delta: 0, effects: Vec::new(), parts: None }
    }
}

/// The registers and the outputs they are of.
struct Drafts<'a> {
    form: &'a Form,
    layout: &'a Layout,
    registers: Vec<Draft>,
    /// The register of each driver's index.
    of_index: BTreeMap<usize, usize>,
    /// The register of each part that carries, by its first bit.
    of_piece: BTreeMap<usize, usize>,
    /// The register of each checksum.
    of_checksum: BTreeMap<usize, usize>,
}

impl Motion {
    /// Of rows whose frames are `stride` frames of the flow apart.
    pub(super) fn new(form: &Form, layout: &Layout, stride: u64, tables: &mut Tables) -> Self {
        let drivers = &form.varying.drivers;
        let mut moving: Vec<bool> = Vec::new();
        let mut advances = Vec::new();
        for (driver, role) in drivers.iter().zip(&form.roles) {
            let (advance, moves) = match driver.index {
                Index::Counted { count, round, leader } if *role != Role::Constant && count > 1 => {
                    let advance = index_at(stride, round, count);
                    (advance, advance != 0 || leader.is_some_and(|leader| moving[leader]))
                }
                _ => (0, false),
            };
            advances.push(advance);
            moving.push(moves);
        }
        let mut drafts = Drafts {
            form,
            layout,
            registers: Vec::new(),
            of_index: BTreeMap::new(),
            of_piece: BTreeMap::new(),
            of_checksum: BTreeMap::new(),
        };
        drafts.add_registers(&moving);
        let mut deltas = [0u64; MAX_ROW_WORDS];
        let mut growth = Vec::new();
        for (number, &advance) in advances.iter().enumerate().filter(|(_, advance)| **advance != 0)
        {
            if let Some(&register) = drafts.of_index.get(&number) {
                drafts.registers[register].delta = advance;
            }
            drafts.moves(number, advance, false, &mut growth);
        }
        drafts.orient_checksums(&advances, &mut growth);
        let mut each_frame = Vec::new();
        for effect in growth {
            drafts.grow(effect, &mut deltas, &mut each_frame);
        }
        if !each_frame.is_empty() {
            let mut draft = Draft::new(RegisterKind::EachFrame, 0);
            (draft.delta, draft.effects) = (1, each_frame);
            drafts.registers.push(draft);
        }
        drafts.add_restarts(&moving);
        let registers = drafts
            .registers
            .into_iter()
            .map(|Draft { kind, limit, delta, effects, .. }| RegisterForm {
                kind,
                limit,
                delta,
                effect_count: small(effects.len()),
                effects: tables.effects(effects),
            })
            .collect();
        Self { deltas, registers, advances }
    }
}

/// The effect that adds to a register.
fn added_to_register(register: usize, amount: u64) -> Effect {
    Effect { target: Effect::REGISTER | small(register), reserved: 0, amount }
}

/// So many steps, or as many back, and whether that is 2¹²⁸ more than its magnitude says.
fn whole_step(step: Step, times: u64, restarts: bool) -> (Step, bool) {
    let circle = step.magnitude.checked_mul(times.into()).is_none();
    let step = step.times(times);
    (if restarts { step.back() } else { step }, circle)
}

/// Where a checksum's two bytes are, as parts of the row.
fn parts_of_checksum(offset: usize) -> Vec<Piece> {
    pieces(8 * offset, 8 * offset + 16)
}

impl Drafts<'_> {
    /// Indices first, then parts from low to high, then checksums: each has effects on later ones
    /// only.
    fn add_registers(&mut self, moving: &[bool]) {
        let form = self.form;
        let drivers =
            || form.varying.drivers.iter().enumerate().filter(|(number, _)| moving[*number]);
        for (number, driver) in drivers() {
            if let Index::Counted { count, .. } = driver.index {
                // What takes centuries to start again does not.
                let limit = if count > 1 << 62 { u64::MAX } else { count - 1 };
                self.of_index.insert(number, self.registers.len());
                self.registers.push(Draft::new(RegisterKind::Index(number), limit));
            }
        }
        let outputs = || {
            drivers()
                .filter(|(number, _)| form.roles[*number] == Role::Counting)
                .flat_map(|(_, driver)| &driver.outputs)
        };
        for output in outputs() {
            if let (OutputTarget::Bits { start, end }, Values::Linear { step, .. }) =
                (output.target, &output.values)
            {
                self.add_parts(&pieces(start, end), step.negative);
            }
        }
        for (number, checksum) in form.varying.checksums.iter().enumerate() {
            if outputs().any(|output| output.grows(number, 1) != 0) {
                self.of_checksum.insert(number, self.registers.len());
                let kind = RegisterKind::Checksum { number, negative: false };
                self.registers.push(Draft::new(kind, MODULUS - 1));
                self.add_parts(&parts_of_checksum(checksum.offset), false);
            }
        }
    }

    /// The registers of all parts that carry into another one.
    fn add_parts(&mut self, parts: &[Piece], negative: bool) {
        for pair in parts.windows(2) {
            let &[low, high] = pair else { continue };
            let kind = RegisterKind::Piece { piece: low, negative };
            self.of_piece.insert(low.start, self.registers.len());
            let draft = Draft::new(kind, low.register_limit());
            self.registers.push(Draft { parts: Some([low, high]), ..draft });
        }
    }

    /// What it means for the row's words that a driver's index moves by `times`, or back from behind
    /// its last value to its first (`restarts`, with `times` values). Checksums are not included.
    fn moves(&self, number: usize, times: u64, restarts: bool, effects: &mut Vec<Effect>) {
        match self.form.roles[number] {
            Role::Constant => {}
            Role::Picked => {
                if let Some(word) = self.form.list_word(number, self.layout) {
                    let amount = if restarts { times.wrapping_neg() } else { times };
                    effects.push(Effect { target: small(word), reserved: 0, amount });
                }
            }
            Role::Counting => {
                for output in &self.form.varying.drivers[number].outputs {
                    let (OutputTarget::Bits { start, end }, Values::Linear { step, .. }) =
                        (output.target, &output.values)
                    else {
                        continue;
                    };
                    let (step, circle) = whole_step(*step, times, restarts);
                    self.change(&pieces(start, end), step, circle, effects);
                }
            }
        }
    }

    /// What it means for a checksum, modulo 65535.
    fn growth_of_checksum(
        &self,
        checksum: usize,
        number: usize,
        times: u64,
        restarts: bool,
    ) -> u64 {
        if self.form.roles[number] != Role::Counting {
            return 0;
        }
        let outputs = self.form.varying.drivers[number].outputs.iter();
        let growth = outputs.map(|output| {
            let Values::Linear { step, .. } = output.values else { return 0 };
            let (step, circle) = whole_step(step, times, restarts);
            // 2¹²⁸ counts as 1.
            let one = Step { magnitude: u128::from(circle), ..step };
            output.sums[checksum] * ((step.residue() + one.residue()) % MODULUS) % MODULUS
        });
        growth.sum::<u64>() % MODULUS
    }

    /// What all of it means when a register starts again.
    fn restart_of_index(&self, number: usize, count: u64, moving: &[bool]) -> Vec<Effect> {
        let mut effects = Vec::new();
        let mut changes = vec![(number, count, true)];
        for (follower, driver) in self.form.varying.drivers.iter().enumerate() {
            let follows =
                matches!(driver.index, Index::Counted { leader, .. } if leader == Some(number));
            if let (true, true, Some(&register)) =
                (follows, moving[follower], self.of_index.get(&follower))
            {
                effects.push(added_to_register(register, 1));
                changes.push((follower, 1, false));
            }
        }
        for &(number, times, restarts) in &changes {
            self.moves(number, times, restarts, &mut effects);
        }
        for &checksum in self.of_checksum.keys() {
            let growth = changes.iter().map(|&(number, times, restarts)| {
                self.growth_of_checksum(checksum, number, times, restarts)
            });
            self.checksum_grows(checksum, growth.sum::<u64>() % MODULUS, &mut effects);
        }
        effects
    }

    /// Lets each checksum count in the direction in which it seldom starts again.
    fn orient_checksums(&mut self, advances: &[u64], growth: &mut Vec<Effect>) {
        for (checksum, register) in self.of_checksum.clone() {
            let grows = advances.iter().enumerate().map(|(number, &advance)| {
                self.growth_of_checksum(checksum, number, advance, false)
            });
            let grows = grows.sum::<u64>() % MODULUS;
            let negative = grows > MODULUS / 2;
            let magnitude = if negative { MODULUS - grows } else { grows };
            let draft = &mut self.registers[register];
            draft.kind = RegisterKind::Checksum { number: checksum, negative };
            draft.delta = magnitude;
            self.checksum_bytes(checksum, Step { negative, magnitude: magnitude.into() }, growth);
        }
    }

    /// Works out the effects of all registers.
    fn add_restarts(&mut self, moving: &[bool]) {
        for register in 0..self.registers.len() {
            let draft = &self.registers[register];
            let mut effects = Vec::new();
            match draft.kind {
                RegisterKind::Index(number) => {
                    if let Index::Counted { count, .. } = self.form.varying.drivers[number].index {
                        effects = self.restart_of_index(number, count, moving);
                    }
                }
                RegisterKind::Piece { negative, .. } => {
                    let Some([low, high]) = draft.parts else { continue };
                    let sign = |amount: u64| if negative { amount.wrapping_neg() } else { amount };
                    effects.push(low.effect(sign(low.limit().wrapping_add(1)).wrapping_neg()));
                    effects.push(high.effect(sign(1)));
                    if let Some(&above) = self.of_piece.get(&high.start) {
                        effects.push(added_to_register(above, high.in_register(1)));
                    }
                }
                RegisterKind::Checksum { number, negative } => {
                    let step = Step { negative: !negative, magnitude: MODULUS.into() };
                    self.checksum_bytes(number, step, &mut effects);
                }
                RegisterKind::EachFrame => continue,
            }
            self.registers[register].effects = effects;
        }
    }

    /// Adds a step to the parts of a field.
    fn change(&self, parts: &[Piece], step: Step, circle: bool, effects: &mut Vec<Effect>) {
        // A part that is counted from above has its digits the other way round.
        let negative = parts.first().and_then(|piece| self.of_piece.get(&piece.start)).is_some_and(
            |&register| {
                matches!(self.registers[register].kind, RegisterKind::Piece { negative: true, .. })
            },
        );
        let sign = |amount: u64| if negative { amount.wrapping_neg() } else { amount };
        let step = if negative { step.back() } else { step };
        for (piece, digit) in parts.iter().zip(digits(parts, step, circle)) {
            if digit == 0 {
                continue;
            }
            effects.push(piece.effect(sign(digit)));
            if let Some(&register) = self.of_piece.get(&piece.start) {
                effects.push(added_to_register(register, piece.in_register(digit)));
            }
        }
    }

    /// Adds to a checksum's register and to its bytes, modulo 65535.
    fn checksum_grows(&self, number: usize, amount: u64, effects: &mut Vec<Effect>) {
        let Some(&register) = self.of_checksum.get(&number) else { return };
        let negative =
            matches!(self.registers[register].kind, RegisterKind::Checksum { negative: true, .. });
        let amount = if negative { (MODULUS - amount) % MODULUS } else { amount };
        if amount == 0 {
            return;
        }
        effects.push(added_to_register(register, amount));
        let step = Step { negative, magnitude: amount.into() };
        self.checksum_bytes(number, step, effects);
    }

    fn checksum_bytes(&self, number: usize, step: Step, effects: &mut Vec<Effect>) {
        let parts = parts_of_checksum(self.form.varying.checksums[number].offset);
        self.change(&parts, step, false, effects);
    }

    /// Adds what happens in every frame to the words and registers that it happens to.
    fn grow(&mut self, effect: Effect, deltas: &mut [u64], each_frame: &mut Vec<Effect>) {
        if effect.target == Effect::LEAD {
            each_frame.push(effect);
        } else if effect.target & Effect::REGISTER != 0 {
            let register = &mut self.registers[(effect.target & !Effect::REGISTER) as usize];
            register.delta = register.delta.wrapping_add(effect.amount);
        } else if let Some(delta) = deltas.get_mut(effect.target as usize) {
            *delta = delta.wrapping_add(effect.amount);
        }
    }
}
