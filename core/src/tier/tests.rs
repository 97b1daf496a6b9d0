use super::Step::*;
use super::Tier::*;
use super::*;

#[test]
fn each_of_the_sixteen_transitions_has_its_exact_steps() {
    let table: [(Tier, Tier, &[Step]); 16] = [
        (Unloaded, Unloaded, &[]),
        (Unloaded, Cached, &[Summarize, Admit, Tell]),
        (Unloaded, Background, &[Project, Tell]),
        (Unloaded, Active, &[Open, Tell]),
        (Cached, Unloaded, &[Withdraw, Forget, Tell]),
        (Cached, Cached, &[Admit]),
        (Cached, Background, &[Withdraw, Project, Tell]),
        (Cached, Active, &[Withdraw, Restore, Tell]),
        (Background, Unloaded, &[Forget, Tell]),
        (Background, Cached, &[Summarize, Admit, Tell]),
        (Background, Background, &[]),
        (Background, Active, &[Restore, Tell]),
        (Active, Unloaded, &[Forget, Tell]),
        (Active, Cached, &[Compress, Persist, Summarize, Admit, Tell]),
        (Active, Background, &[Compress, Persist, Project, Tell]),
        (Active, Active, &[]),
    ];
    for (from, to, steps) in table {
        assert_eq!(transition(from, to), steps, "{from:?} -> {to:?}");
    }
}

#[test]
fn every_real_change_is_told_to_the_server_last() {
    for from in Tier::ALL {
        for to in Tier::ALL {
            let last = transition(from, to).last();
            assert_eq!(last == Some(&Tell), from != to, "{from:?} -> {to:?}");
        }
    }
}

#[test]
fn what_is_in_the_cache_enters_and_leaves_it_in_step_with_the_tier() {
    for from in Tier::ALL {
        for to in Tier::ALL {
            let steps = transition(from, to);
            assert_eq!(steps.contains(&Admit), to == Cached);
            assert_eq!(steps.contains(&Withdraw), from == Cached && to != Cached);
        }
    }
}

#[test]
fn tiers_survive_the_wire_and_unknown_ones_are_seen() {
    for tier in Tier::ALL {
        assert_eq!(Tier::from_wire(tier.wire().into()), Some(tier));
    }
    assert_eq!(Tier::from_wire(9), None);
}
