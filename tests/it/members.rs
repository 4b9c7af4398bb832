//! People in a workspace: invitations, roles, leaving, and the owner who always remains.

use futures::future::join_all;
use serde_json::json;

use crate::support::app::TestApp;
use crate::support::socket::Socket;

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_is_good_once_and_for_its_recipient_alone() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let (guest, thief) = (app.person("guest").await, app.person("thief").await);
    let body = json!({"email": " Guest@Example.com ", "role": "editor"});
    let invite = owner.post(&format!("{workspace}/invites"), body).await;
    let token = json!({"token": invite.is(201)["token"]});
    thief
        .post("/invites/accept", token.clone())
        .await
        .refuses(403, "wrong_recipient");
    let accepts = join_all((0..50).map(|_| guest.post("/invites/accept", token.clone()))).await;
    let joined = accepts.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(joined, 1);
    assert!(
        accepts
            .iter()
            .all(|answer| [200, 410].contains(&answer.status.as_u16()))
    );
    guest.get(&workspace).await.is(200);
    assert_eq!(guest.get(&workspace).await.body["role"], "editor");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_stored_as_a_hash_and_the_same_key_shows_it_again() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let path = format!("{workspace}/invites");
    let body = json!({"email": "g@example.com", "role": "viewer"});
    let first = owner.keyed(&path, "invite-1", body.clone()).await;
    let again = owner.keyed(&path, "invite-1", body).await;
    assert_eq!(first.is(201), again.is(201));
    let secret = first.body["token"].as_str().unwrap();
    app.db
        .never_stored(&["invites", "ops", "event_payloads"], secret)
        .await;
    let invites = owner.get(&path).await;
    assert!(!invites.text.contains(secret));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_lifts_anybody_above_themselves() {
    let app = TestApp::new().await;
    let (owner, admin) = (app.person("owner").await, app.person("admin").await);
    let workspace = owner.workspace().await;
    owner.bring(&workspace, &admin, "admin").await;
    let body = json!({"email": "x@example.com", "role": "owner"});
    admin
        .post(&format!("{workspace}/invites"), body)
        .await
        .refuses(403, "forbidden");
    let own = format!("{workspace}/members/{}", admin.id);
    admin
        .patch(&own, json!({"role": "owner"}))
        .await
        .refuses(403, "forbidden");
    let above = format!("{workspace}/members/{}", owner.id);
    admin
        .patch(&above, json!({"role": "viewer"}))
        .await
        .refuses(403, "forbidden");
    admin.delete(&above).await.refuses(403, "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_removed_can_lift_nobody_any_more() {
    let app = TestApp::new().await;
    let (owner, admin, guest) = (
        app.person("owner").await,
        app.person("admin").await,
        app.person("guest").await,
    );
    let workspace = owner.workspace().await;
    owner.bring(&workspace, &admin, "admin").await;
    let body = json!({"email": guest.email, "role": "editor"});
    let invite = admin.post(&format!("{workspace}/invites"), body).await;
    owner
        .delete(&format!("{workspace}/members/{}", admin.id))
        .await
        .is(204);
    let token = json!({"token": invite.is(201)["token"]});
    guest
        .post("/invites/accept", token)
        .await
        .refuses(410, "gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_owners_who_demote_each_other_leave_one() {
    let app = TestApp::new().await;
    let (one, two) = (app.person("one").await, app.person("two").await);
    let workspace = one.workspace().await;
    one.bring(&workspace, &two, "owner").await;
    let member = |id: &str| format!("{workspace}/members/{id}");
    for round in 0..40 {
        let (of_two, of_one) = (member(&two.id), member(&one.id));
        let demote = json!({"role": "editor"});
        let (first, second) = tokio::join!(
            one.patch(&of_two, demote.clone()),
            two.patch(&of_one, demote.clone())
        );
        let fell = [&first, &second]
            .iter()
            .filter(|answer| answer.status == 200)
            .count();
        assert_eq!(fell, 1, "round {round}: {} {}", first.text, second.text);
        let (left, fallen) = if first.status == 200 {
            (&one, &of_two)
        } else {
            (&two, &of_one)
        };
        left.patch(&member(&left.id), demote)
            .await
            .refuses(409, "last_owner");
        left.delete(&member(&left.id))
            .await
            .refuses(409, "last_owner");
        left.patch(fallen, json!({"role": "owner"})).await.is(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_members_socket_ends_before_the_removal_is_acknowledged() {
    let app = TestApp::new().await;
    let (owner, guest) = (app.person("owner").await, app.person("guest").await);
    let workspace = owner.workspace().await;
    owner.bring(&workspace, &guest, "editor").await;
    let list = owner.list(&workspace, &[("Price", "number")]).await;
    let mut socket = Socket::open(&app, &guest).await;
    socket.follow(&workspace, None).await;
    owner
        .delete(&format!("{workspace}/members/{}", guest.id))
        .await
        .is(204);
    let removal = owner.seq(&workspace).await;
    owner.item(&list, json!({"Price": 1})).await;
    assert_eq!(socket.closing().await, Some(4403));
    let after = socket
        .events
        .iter()
        .filter(|event| event["seq"].as_i64().unwrap() > removal);
    assert_eq!(after.count(), 0);
    guest.get(&workspace).await.refuses(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_can_not_tell_a_workspace_from_none_by_its_position() {
    let app = TestApp::new().await;
    let (owner, stranger) = (app.person("owner").await, app.person("stranger").await);
    let workspace = owner.workspace().await;
    let path = format!("/api/v1{workspace}");
    let far = [("x-min-seq", "1000000")];
    let answer = stranger.send(reqwest::Method::GET, &path, None, &far).await;
    answer.refuses(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_who_accepts_twice_by_the_same_key_gets_the_same_answer() {
    let app = TestApp::new().await;
    let (owner, guest) = (app.person("owner").await, app.person("guest").await);
    let workspace = owner.workspace().await;
    let body = json!({"email": "guest@example.com", "role": "viewer"});
    let invite = owner.post(&format!("{workspace}/invites"), body).await;
    let token = json!({"token": invite.is(201)["token"]});
    let first = guest.keyed("/invites/accept", "in", token.clone()).await;
    let again = guest.keyed("/invites/accept", "in", token).await;
    assert_eq!(first.is(200), again.is(200));
}
