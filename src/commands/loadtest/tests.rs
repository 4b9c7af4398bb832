//! The whole load test against a server in memory that keeps the contract, or breaks it in one
//! known way: the first must be found sound, the others broken in just that way.

use std::time::Duration;

use super::{Audience, Fault, LoadPlan, LoadReport, run_plan};
use crate::commands::client::fake::{Mischief, Server};

async fn load(mischief: Mischief, change: impl FnOnce(&mut LoadPlan)) -> LoadReport {
    let server = Server::with(mischief).await;
    let mut plan = LoadPlan::new(server.url.clone(), "token");
    plan.editors = 4;
    plan.rate = 200.0;
    plan.duration = Duration::from_millis(500);
    plan.lists = 2;
    plan.items = 7;
    change(&mut plan);
    run_plan(plan).await.unwrap()
}

fn faults(report: &LoadReport) -> Vec<Fault> {
    report.verdict.faults.keys().copied().collect()
}

#[tokio::test]
async fn an_honest_server_is_found_sound() {
    let report = load(Mischief::None, |plan| plan.rest_share = 0.25).await;
    assert!(report.verdict.sound, "{report}");
    assert_eq!((report.sent, report.acked, report.refused), (100, 100, 0));
    assert_eq!(report.deliveries, 400);
    // Of the 25 edits of each editor every fourth.
    assert_eq!(report.rest.count, 24);
    assert_eq!(report.ack.count, 76);
    assert_eq!(report.delivery.count, 300);
    assert_eq!(report.verdict.acks_checked, 100);
    assert_eq!(report.verdict.sockets_checked, 4);
    assert!(report.delivery.max_ms < 5_000.0);
}

#[tokio::test]
async fn a_pipeline_keeps_its_depth_and_only_the_watchers_watch() {
    let report = load(Mischief::None, |plan| {
        plan.rate = 0.0;
        plan.pipeline = 8;
        plan.duration = Duration::from_millis(200);
        plan.audience = Audience::Watchers(2);
    })
    .await;
    assert!(report.verdict.sound, "{report}");
    assert!(report.acked > 100);
    assert_eq!(report.deliveries, 2 * report.acked);
    assert_eq!(report.verdict.sockets_checked, 2);
}

#[tokio::test]
async fn each_fault_of_a_server_is_found() {
    for (mischief, expected) in [
        (Mischief::HidesAnEvent, vec![Fault::NotDelivered]),
        (Mischief::DoublesAnEdit, vec![Fault::LoggedTwice]),
        (
            Mischief::RepeatsAnEvent,
            vec![Fault::DeliveredTwice, Fault::Hole],
        ),
    ] {
        let report = load(mischief, |_| {}).await;
        assert!(!report.verdict.sound, "{mischief:?}");
        assert!(faults(&report).starts_with(&expected[..1]), "{report}");
        for fault in expected {
            assert!(faults(&report).contains(&fault), "{mischief:?}: {report}");
        }
    }
    let lost = load(Mischief::LosesAnEdit, |_| {}).await;
    assert_eq!(faults(&lost), [Fault::Lost], "{lost}");
    // The stored value is overwritten when the same item is edited again, so only one edit is made.
    let torn = load(Mischief::StoresAnotherValue, |plan| {
        plan.editors = 1;
        plan.lists = 1;
        plan.items = 1;
        plan.rate = 20.0;
    })
    .await;
    assert_eq!(
        faults(&torn),
        [Fault::ClientDiffers, Fault::DatabaseDiffers],
        "{torn}"
    );
}

#[tokio::test]
async fn a_server_that_drops_everyone_is_forgiven_when_nothing_is_lost() {
    let report = load(Mischief::DropsEveryone, |_| {}).await;
    assert!(report.verdict.sound, "{report}");
    assert_eq!(report.reconnects, 4);
    assert_eq!((report.sent, report.acked), (100, 100));
}

#[tokio::test]
async fn a_refusal_is_counted_and_is_no_fault() {
    let report = load(Mischief::RefusesAnEdit, |_| {}).await;
    assert!(report.verdict.sound, "{report}");
    assert_eq!(report.refused, 1);
    assert_eq!(report.acked + 1, report.sent);
}

#[tokio::test]
async fn a_list_that_is_there_already_can_be_edited() {
    let server = Server::start().await;
    let plan = LoadPlan {
        duration: Duration::from_millis(100),
        ..LoadPlan::new(server.url.clone(), "token")
    };
    let first = run_plan(plan.clone()).await.unwrap();
    let list = server.lists().remove(0);
    let again = LoadPlan {
        workspace: Some(first.workspace),
        list: Some(list),
        items: 40,
        ..plan
    };
    let report = run_plan(again).await.unwrap();
    assert!(report.verdict.sound, "{report}");
    assert_eq!(server.lists(), [list]);
    assert!((1..=40).contains(&report.verdict.items_checked));
}

#[tokio::test]
async fn readers_are_told_everything_and_count_it() {
    let report = load(Mischief::None, |plan| plan.audience = Audience::Readers(5)).await;
    assert!(report.verdict.sound, "{report}");
    assert_eq!((report.acked, report.deliveries), (100, 500));
    assert_eq!(report.delivery.count, 500);
    assert_eq!(report.verdict.sockets_checked, 5);
    assert!(report.read_bytes > 100 * 500);
}

#[tokio::test]
async fn readers_find_what_is_hidden_or_repeated_and_give_up_when_closed() {
    for (mischief, expected) in [
        (Mischief::HidesAnEvent, Fault::NotDelivered),
        (Mischief::RepeatsAnEvent, Fault::DeliveredTwice),
        (Mischief::DropsEveryone, Fault::GaveUp),
    ] {
        let report = load(mischief, |plan| plan.audience = Audience::Readers(3)).await;
        assert!(
            faults(&report).contains(&expected),
            "{mischief:?}: {report}"
        );
    }
}

#[tokio::test]
async fn loads_that_run_together_begin_as_one_and_are_each_judged() {
    let servers = [Server::start().await, Server::start().await];
    let broken = Server::with(Mischief::HidesAnEvent).await;
    let plans = servers.iter().chain([&broken]).map(|server| LoadPlan {
        duration: Duration::from_millis(300),
        editors: 2,
        rate: 100.0,
        audience: Audience::Readers(1),
        ..LoadPlan::new(server.url.clone(), "token")
    });
    let reports = super::run_together(plans.collect()).await.unwrap();
    let found: Vec<_> = reports
        .iter()
        .map(|report| (report.acked, report.verdict.sound))
        .collect();
    assert_eq!(found, [(30, true), (30, true), (30, false)]);
}
