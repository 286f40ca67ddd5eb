use super::*;

const LIMITS: RateLimits = RateLimits {
    rate_per_address: 1,
    rate_burst: 3,
    rate_malformed: 1,
    rate_lookups: 4,
    rate_per_person: 1,
    rate_person_burst: 2,
};

fn client(text: &str) -> ClientAddress {
    ClientAddress(text.parse().unwrap())
}

fn bucket(limiters: &RateLimiters, address: ClientAddress) -> Bucket {
    limiters.suspects.buckets.of(address.network())
}

/// An address that does not share the budget of `taken` by chance.
fn another(limiters: &RateLimiters, taken: &[ClientAddress], pattern: &str) -> ClientAddress {
    (1..250)
        .map(|number| client(&pattern.replace('#', &number.to_string())))
        .find(|candidate| taken.iter().all(|taken| bucket(limiters, *candidate) != bucket(limiters, *taken)))
        .unwrap()
}

#[test]
fn an_address_has_its_burst_and_then_waits() {
    let (limiters, greedy) = (RateLimiters::new(&LIMITS), client("203.0.113.1"));
    for _ in 0..3 {
        limiters.admit(greedy).unwrap();
    }
    assert_eq!(limiters.admit(greedy).unwrap_err().code(), ErrorCode::RateLimited);
    limiters.admit(another(&limiters, &[greedy], "198.51.100.#")).unwrap();
}

#[test]
fn addresses_of_one_ipv6_network_count_together() {
    let limiters = RateLimiters::new(&LIMITS);
    for host in ["2001:db8::1", "2001:db8::2", "2001:db8::ffff:3"] {
        limiters.admit(client(host)).unwrap();
    }
    limiters.admit(client("2001:db8::4")).unwrap_err();
    limiters.admit(another(&limiters, &[client("2001:db8::4")], "2001:db8:0:#::4")).unwrap();
}

#[test]
fn a_person_has_one_budget_wherever_they_call_from() {
    let limiters = RateLimiters::new(&LIMITS);
    limiters.admit_person("carol").unwrap();
    limiters.admit_person("carol").unwrap();
    let refusal = limiters.admit_person("carol").unwrap_err();
    assert_eq!(refusal.code(), ErrorCode::RateLimited);
    assert!(refusal.description().contains("in your name"), "{refusal}");
    let of = |name: &str| limiters.suspects.buckets.of(name);
    let other = (0..99).map(|number| format!("alice-{number}")).find(|name| of(name) != of("carol"));
    limiters.admit_person(&other.unwrap()).unwrap();
}

#[test]
fn lookups_have_one_budget_for_everybody() {
    let limiters = RateLimiters::new(&LIMITS);
    let mut taken = Vec::new();
    for _ in 0..4 {
        taken.push(another(&limiters, &taken, "198.51.100.#"));
        limiters.admit_lookup(*taken.last().unwrap()).unwrap();
    }
    let refusal = limiters.admit_lookup(another(&limiters, &taken, "198.51.100.#")).unwrap_err();
    assert_eq!(refusal.code(), ErrorCode::RateLimited);
    assert!(refusal.description().contains("too many callers"), "{refusal}");
}

#[test]
fn each_tier_pays_from_its_own_budget() {
    let (limiters, nat) = (RateLimiters::new(&LIMITS), client("203.0.113.1"));
    // Garbage from behind the same address, as much as anybody likes.
    let garbage = (0..100).filter(|_| limiters.admit_malformed(nat).is_err()).count();
    assert!(garbage > 80, "{garbage} of 100 had to wait");
    limiters.admit_lookup(nat).unwrap();
    // Strangers' tokens, until their address has to wait.
    while limiters.admit_lookup(nat).is_ok() {}
    limiters.admit_known("carol").unwrap();
    limiters.admit_holder("carol").unwrap();
    limiters.admit_person("carol").unwrap();
    let text = |tier| limiters.limited.get_or_create(&ByTier { tier }).get();
    assert_eq!((text(Tier::malformed), text(Tier::address), text(Tier::person)), (garbage as u64, 1, 0));
}

#[test]
fn wrong_tokens_from_many_addresses_leave_half_of_the_lookups_to_others() {
    let limiters = RateLimiters::new(&LIMITS);
    let mut suspects = Vec::new();
    for _ in 0..10 {
        let suspect = another(&limiters, &suspects, "203.0.113.#");
        (0..WRONG).for_each(|_| limiters.was_wrong(suspect));
        suspects.push(suspect);
    }
    let admitted = suspects.iter().filter(|suspect| limiters.admit_lookup(**suspect).is_ok()).count();
    assert!(admitted < 4, "{admitted}: they have their half");
    let mut honest = Vec::new();
    for _ in 0..2 {
        honest.push(another(&limiters, &[suspects.clone(), honest.clone()].concat(), "198.51.100.#"));
        limiters.admit_lookup(*honest.last().unwrap()).unwrap();
    }
}

#[test]
fn a_suspect_is_one_for_a_while() {
    let limiters = RateLimiters::new(&LIMITS);
    let (address, now) = (client("203.0.113.1"), Instant::now());
    limiters.suspects.add(address, now);
    limiters.suspects.add(address, now);
    assert!(!limiters.suspects.holds(address, now), "anybody may be wrong twice");
    limiters.suspects.add(address, now);
    assert!(limiters.suspects.holds(address, now));
    assert!(!limiters.suspects.holds(address, now + SUSPECT_FOR));
    limiters.suspects.add(address, now + SUSPECT_FOR);
    assert!(!limiters.suspects.holds(address, now + SUSPECT_FOR));
}

#[test]
fn however_many_addresses_come_the_number_of_budgets_is_bounded() {
    let limiters = RateLimiters::new(&LIMITS);
    for number in 0_u32..200_000 {
        let address = ClientAddress(std::net::Ipv4Addr::from_bits(number).into());
        let _ = limiters.admit(address);
        limiters.was_wrong(address);
    }
    assert!(limiters.addresses.in_use() <= 65_536, "{}", limiters.addresses.in_use());
    assert!(limiters.suspects.wrong().len() <= 65_536);
}
