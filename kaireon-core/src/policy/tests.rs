//! Caps and cooldowns against a count over the events themselves.

use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest,
};

use super::*;
use crate::memory::MemoryStore;
use crate::{InteractionType, time};

fn noon() -> Timestamp {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

/// An event of the one customer, `minutes` before noon.
#[derive(Clone, Debug)]
struct Contact {
    offer: u8,
    creative: u8,
    channel: u8,
    impression: bool,
    minutes: i64,
}

impl Contact {
    fn at(&self) -> Timestamp {
        noon() - TimeDelta::minutes(self.minutes)
    }

    fn value(&self, scope: Scope) -> u8 {
        match scope {
            Scope::Global => 0,
            Scope::Offer => self.offer,
            Scope::Creative => self.creative,
            Scope::Channel => self.channel,
        }
    }

    fn event(&self) -> Interaction {
        let interaction_type = if self.impression {
            InteractionType::Impression
        } else {
            InteractionType::Click
        };
        Interaction::builder("t", "c")
            .offer(format!("o{}", self.offer))
            .creative(format!("k{}", self.creative))
            .channel(format!("n{}", self.channel))
            .interaction_type(interaction_type)
            .timestamp(self.at())
            .build()
            .unwrap()
    }
}

fn contacts() -> impl Strategy<Value = Vec<Contact>> {
    // Forty days back, so that days, weeks, months and a year end in between.
    let contact = (0..2u8, 0..2u8, 0..2u8, any::<bool>(), 0..57_600i64);
    let contact = contact.prop_map(|(offer, creative, channel, impression, minutes)| Contact {
        offer,
        creative,
        channel,
        impression,
        minutes,
    });
    proptest::collection::vec(contact, 0..40)
}

fn scopes() -> impl Strategy<Value = Scope> {
    prop_oneof![
        Just(Scope::Global),
        Just(Scope::Offer),
        Just(Scope::Creative),
        Just(Scope::Channel)
    ]
}

fn rules() -> impl Strategy<Value = Rule> {
    let periods = prop_oneof![
        Just(PeriodType::Daily),
        Just(PeriodType::Weekly),
        Just(PeriodType::Monthly),
        Just(PeriodType::AllTime)
    ];
    let caps = (scopes(), periods, 0..6u64);
    let caps = caps.prop_map(|(scope, period, max)| Rule::Cap(FrequencyCap { scope, period, max }));
    let cooldowns = (scopes(), 0..100_000u64).prop_map(|(scope, minutes)| {
        let duration = Duration::from_secs(minutes * 60);
        Rule::Cooldown(Cooldown { scope, duration })
    });
    prop_oneof![caps, cooldowns]
}

/// The first day of the period, counted without [`Period`].
fn period_of(period: PeriodType, at: Timestamp) -> String {
    let format = match period {
        PeriodType::Daily => "%Y-%m-%d",
        PeriodType::Weekly => "%G-%V",
        PeriodType::Monthly => "%Y-%m",
        PeriodType::AllTime => "",
    };
    at.format(format).to_string()
}

/// Whether a rule admits, counted over the events.
fn admits(rule: &Rule, contacts: &[Contact], candidate: &Contact, now: Timestamp) -> bool {
    let same = |scope| move |contact: &&Contact| contact.value(scope) == candidate.value(scope);
    match *rule {
        Rule::Cap(FrequencyCap { scope, period, max }) => {
            let shown = contacts.iter().filter(same(scope));
            let shown = shown.filter(|contact| contact.impression);
            let now = period_of(period, now);
            let shown = shown.filter(|contact| period_of(period, contact.at()) == now);
            (shown.count() as u64) < max
        }
        Rule::Cooldown(Cooldown { scope, duration }) => {
            let last = contacts.iter().filter(same(scope)).map(Contact::at).max();
            last.is_none_or(|last| (now - last).to_std().unwrap() >= duration)
        }
    }
}

/// What a store that was told of the contacts answers to exactly the query of the policy.
fn summaries(
    contacts: &[Contact],
    policy: &ContactPolicy,
    candidate: &Candidate,
    now: Timestamp,
) -> Vec<Summary> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = MemoryStore::new();
        for contact in contacts {
            assert!(store.record_event(contact.event()).await.unwrap().is_new());
        }
        match policy.query(candidate, now) {
            Some(query) => store.get_summaries(query).await.unwrap(),
            None => Vec::new(),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_policy_says_what_a_count_over_the_events_says(
        contacts in contacts(),
        rules in proptest::collection::vec(rules(), 0..4),
        (offer, creative, channel) in (0..2u8, 0..2u8, 0..2u8),
    ) {
        let policy = ContactPolicy { rules };
        let thought = Contact { offer, creative, channel, impression: true, minutes: 0 };
        let candidate = Candidate::of(&thought.event());
        let known = summaries(&contacts, &policy, &candidate, noon());
        let verdict = policy.evaluate(&candidate, &known, noon());
        let counted = |now| policy.rules.iter().all(|rule| admits(rule, &contacts, &thought, now));
        prop_assert_eq!(verdict.is_admitted(), counted(noon()));
        match verdict {
            Verdict::Admitted => {}
            Verdict::Refused { rule, admits_again: Some(again) } => {
                prop_assert!(!admits(&rule, &contacts, &thought, noon()));
                // Not a moment earlier, and then for certain.
                prop_assert!(!counted(again - TimeDelta::milliseconds(1)));
                prop_assert!(counted(again));
                let known = summaries(&contacts, &policy, &candidate, again);
                prop_assert!(policy.evaluate(&candidate, &known, again).is_admitted());
            }
            Verdict::Refused { admits_again: None, .. } => {
                prop_assert!(!counted(noon() + TimeDelta::days(400)));
            }
        }
    }
}

#[test]
fn a_global_cap_counts_each_contact_once_whatever_else_it_belongs_to() {
    let policy = ContactPolicy::default().with_cap(Scope::Global, PeriodType::Daily, 3);
    let contact = |channel| Contact {
        offer: 0,
        creative: 0,
        channel,
        impression: true,
        minutes: 5,
    };
    let candidate = Candidate::of(&contact(0).event());
    let evaluate = |contacts: &[Contact]| {
        let known = summaries(contacts, &ContactPolicy::default(), &candidate, noon());
        assert!(known.is_empty(), "a policy without rules asks for nothing");
        // Everything that is known of the customer, all dimensions and periods.
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let known = runtime.block_on(async {
            let store = MemoryStore::new();
            for contact in contacts {
                store.record_event(contact.event()).await.unwrap();
            }
            let everything = SummaryQuery::new(candidate.tenant.clone(), candidate.customer.clone());
            store.get_summaries(everything).await.unwrap()
        });
        policy.evaluate(&candidate, &known, noon())
    };
    assert!(evaluate(&[contact(0), contact(1)]).is_admitted());
    let refused = Verdict::Refused {
        rule: policy.rules[0],
        admits_again: "2026-01-02T00:00:00Z".parse().ok(),
    };
    assert_eq!(evaluate(&[contact(0), contact(1), contact(0)]), refused);
}

#[test]
fn the_rule_that_refuses_longest_is_named() {
    let shown = Contact {
        offer: 0,
        creative: 0,
        channel: 0,
        impression: true,
        minutes: 0,
    };
    let candidate = Candidate::of(&shown.event());
    let verdict = |policy: &ContactPolicy| {
        let known = summaries(std::slice::from_ref(&shown), policy, &candidate, noon());
        policy.evaluate(&candidate, &known, noon())
    };
    let day = ContactPolicy::default().with_cap(Scope::Offer, PeriodType::Daily, 1);
    let month = day.clone().with_cap(Scope::Offer, PeriodType::Monthly, 1);
    let never = month.clone().with_cap(Scope::Channel, PeriodType::AllTime, 1);
    let at = |text: &str| Some(text.parse::<Timestamp>().unwrap());
    for (policy, admits_again) in [
        (&day, at("2026-01-02T00:00:00Z")),
        (&month, at("2026-02-01T00:00:00Z")),
        (&never, None),
    ] {
        let rule = *policy.rules.last().unwrap();
        assert_eq!(verdict(policy), Verdict::Refused { rule, admits_again });
    }
    let zero = ContactPolicy::default().with_cap(Scope::Creative, PeriodType::Daily, 0);
    assert!(matches!(
        verdict(&zero),
        Verdict::Refused {
            admits_again: None,
            ..
        }
    ));
}

#[test]
fn a_contact_that_lies_ahead_holds_a_cooldown_from_its_own_time() {
    let ahead = Contact {
        offer: 0,
        creative: 0,
        channel: 0,
        impression: false,
        minutes: -60,
    };
    let policy = ContactPolicy::default().with_cooldown(Scope::Offer, Duration::from_secs(60));
    let candidate = Candidate::of(&ahead.event());
    let known = summaries(std::slice::from_ref(&ahead), &policy, &candidate, noon());
    let admits_again = time::from_millis(noon().timestamp_millis() + 61 * 60_000);
    let rule = policy.rules[0];
    assert_eq!(
        policy.evaluate(&candidate, &known, noon()),
        Verdict::Refused { rule, admits_again }
    );
}
