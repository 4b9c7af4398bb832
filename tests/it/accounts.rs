//! The built-in identity provider behind the whole server: its own promises, and the official
//! client that knows nothing of it.

use crate::support::app::TestApp;
use crate::{auth_js, identity};

#[tokio::test(flavor = "multi_thread")]
async fn the_built_in_provider_keeps_its_promises_and_the_official_client_works() {
    let app = TestApp::limited().await;
    let base = app.url("");
    auth_js::the_official_client_works(&base).await;
    identity::it_says_what_it_is(&base).await;
    identity::an_address_has_one_account_however_many_ask_at_once(&base).await;
    identity::refreshing_at_once_from_many_tabs_gives_all_the_same_token(&base).await;
    identity::a_token_from_before_the_last_refresh_ends_the_session(&base).await;
    identity::signing_out_ends_what_its_scope_says(&base).await;
    identity::a_new_password_ends_the_other_sessions(&base).await;
    identity::metadata_is_merged_and_kept_small(&base).await;
    identity::an_address_can_be_changed_but_not_taken(&base).await;
    identity::errors_come_in_the_style_of_the_version_asked_for(&base).await;
    identity::bad_input_gets_a_code_and_harms_nobody(&base).await;
    identity::a_caller_names_themselves_in_one_header_only(&base).await;
    identity::guessing_a_password_ends_after_ten_tries(&base).await;
    identity::an_unknown_address_looks_like_a_wrong_password(&base).await;
}
