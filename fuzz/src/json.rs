//! Changes to JSON that leave it JSON: a change of single bytes hardly ever
//! does.

use serde_json::{Map, Value};

/// For `fuzz_mutator!`: a few of the changes are the fuzzer's own.
pub fn mutate(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut dice = Dice(u64::from(seed) << 1 | 1);
    let parsed = serde_json::from_slice::<Value>(&data[..size]).ok().filter(|_| dice.roll(8) > 0);
    let Some(mut value) = parsed else { return libfuzzer_sys::fuzzer_mutate(data, size, max_size) };
    for _ in 0..=dice.roll(2) {
        let at = dice.roll(count(&value));
        let other = nth(&value, dice.roll(count(&value))).cloned().unwrap_or(Value::Null);
        if let Some(node) = nth_mut(&mut value, &mut { at }) {
            change(node, other, &mut dice);
        }
    }
    let text = value.to_string();
    if text.len() > max_size {
        return libfuzzer_sys::fuzzer_mutate(data, size, max_size);
    }
    data[..text.len()].copy_from_slice(text.as_bytes());
    text.len()
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides.max(1)
    }
}

fn change(node: &mut Value, other: Value, dice: &mut Dice) {
    const NUMBERS: [u64; 9] = [0, 1, 2, 7, 255, 65_536, 1 << 53, u64::MAX - 1, u64::MAX];
    match (node, dice.roll(6)) {
        (Value::Object(table), 0) => drop(key(table, dice).and_then(|key| table.remove(&key))),
        (Value::Object(table), 1) => {
            if let Some(value) = key(table, dice).and_then(|key| table.remove(&key)) {
                table.insert(["more", "session", "v", "kill", "key"][dice.roll(5)].to_owned(), value);
            }
        }
        (Value::Array(items), 0) if !items.is_empty() => drop(items.remove(dice.roll(items.len()))),
        (Value::Array(items), 1..=3) => items.push(items.first().cloned().unwrap_or(other)),
        (Value::Number(number), 0..=3) => *number = NUMBERS[dice.roll(NUMBERS.len())].into(),
        (Value::Bool(flag), 0..=3) => *flag = !*flag,
        (Value::String(text), 0) => text.push(['A', 'é', ' ', '\0'][dice.roll(4)]),
        (Value::String(text), 1) => drop(text.pop()),
        (Value::String(text), 2) => *text = text.repeat(2),
        (node, 4) => *node = Value::Null,
        (node, _) => *node = other,
    }
}

fn key(table: &Map<String, Value>, dice: &mut Dice) -> Option<String> {
    table.keys().nth(dice.roll(table.len())).cloned()
}

fn below(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(table) => table.values().collect(),
        _ => Vec::new(),
    }
}

fn count(value: &Value) -> usize {
    1 + below(value).into_iter().map(count).sum::<usize>()
}

fn nth(value: &Value, mut at: usize) -> Option<&Value> {
    if at == 0 {
        return Some(value);
    }
    at -= 1;
    for inner in below(value) {
        let held = count(inner);
        if at < held {
            return nth(inner, at);
        }
        at -= held;
    }
    None
}

fn nth_mut<'a>(value: &'a mut Value, at: &mut usize) -> Option<&'a mut Value> {
    if *at == 0 {
        return Some(value);
    }
    *at -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|inner| nth_mut(inner, at)),
        Value::Object(table) => table.values_mut().find_map(|inner| nth_mut(inner, at)),
        _ => None,
    }
}
