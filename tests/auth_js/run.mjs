// The official client of Supabase Auth, unchanged, against the identity provider at the URL given
// as the only argument (…/auth/v1). Exits with 0 when every step behaved as with Supabase.

import assert from 'node:assert/strict'
import { AuthClient } from '@supabase/auth-js'

const url = process.argv[2]
const email = `Ada.${Date.now()}@Example.com`
const normalised = email.toLowerCase()
const password = 'correct horse battery'

const client = () =>
  new AuthClient({
    url,
    headers: { apikey: 'any', Authorization: 'Bearer any' },
    autoRefreshToken: false,
    persistSession: false,
    storageKey: `test-${Math.random()}`,
  })

const steps = []
const step = (name, run) => steps.push([name, run])

const refused = ({ data, error }, code, status) => {
  assert.ok(error, `expected ${code}, got ${JSON.stringify(data)}`)
  assert.equal(error.code, code)
  if (status) assert.equal(error.status, status)
  return error
}
const ok = ({ data, error }) => {
  assert.equal(error, null)
  return data
}

const auth = client()

step('signUp refuses a weak password and says why', async () => {
  const error = refused(await auth.signUp({ email, password: 'short' }), 'weak_password', 422)
  assert.equal(error.name, 'AuthWeakPasswordError')
  assert.deepEqual(error.reasons, ['length'])
})

step('signUp signs in at once', async () => {
  const { user, session } = ok(
    await auth.signUp({ email, password, options: { data: { full_name: 'Ada' } } }),
  )
  assert.equal(user.email, normalised)
  assert.equal(user.user_metadata.full_name, 'Ada')
  assert.equal(user.role, 'authenticated')
  assert.equal(user.identities.length, 1)
  assert.ok(session.access_token && session.refresh_token)
  assert.equal(session.expires_in, 3600)
})

step('signUp refuses an address that is taken', async () => {
  refused(await client().signUp({ email: normalised, password }), 'user_already_exists', 422)
})

step('signUp refuses what is no address', async () => {
  refused(await client().signUp({ email: 'ada', password }), 'validation_failed', 400)
})

step('signInWithPassword refuses a wrong password and an unknown address alike', async () => {
  const wrong = await client().signInWithPassword({ email, password: 'wrong horse battery' })
  const unknown = await client().signInWithPassword({ email: `x${normalised}`, password })
  assert.equal(refused(wrong, 'invalid_credentials', 400).message, refused(unknown, 'invalid_credentials', 400).message)
})

step('signInWithPassword opens a session', async () => {
  const { session, user } = ok(await auth.signInWithPassword({ email, password }))
  assert.equal(user.email, normalised)
  assert.ok(session.expires_at > Date.now() / 1000)
})

step('getUser asks the server who it is', async () => {
  const { user } = ok(await auth.getUser())
  assert.equal(user.email, normalised)
  assert.ok(!Number.isNaN(Date.parse(user.created_at)))
})

step('getClaims verifies the token by the published key', async () => {
  const { claims, header } = ok(await auth.getClaims())
  assert.equal(header.alg, 'ES256')
  assert.equal(claims.iss, url)
  assert.equal(claims.aud, 'authenticated')
  assert.equal(claims.email, normalised)
  assert.equal(claims.user_metadata.full_name, 'Ada')
})

step('getClaims refuses a token that was tampered with', async () => {
  const { session } = ok(await auth.getSession())
  const [header, payload, signature] = session.access_token.split('.')
  const forged = JSON.parse(Buffer.from(payload, 'base64url'))
  forged.role = 'service_role'
  const token = [header, Buffer.from(JSON.stringify(forged)).toString('base64url'), signature].join('.')
  const { error } = await auth.getClaims(token)
  assert.equal(error?.code, 'invalid_jwt')
  refused(await auth.getUser(token), 'bad_jwt', 403)
})

let parent
step('refreshSession rotates the refresh token', async () => {
  parent = ok(await auth.getSession()).session.refresh_token
  const { session } = ok(await auth.refreshSession())
  assert.notEqual(session.refresh_token, parent)
  assert.equal(session.user.email, normalised)
})

step('refreshSession gives a second tab the same answer', async () => {
  const current = ok(await auth.getSession()).session.refresh_token
  const { session } = ok(await client().refreshSession({ refresh_token: parent }))
  assert.equal(session.refresh_token, current)
})

step('refreshSession ends the session when an old token comes back', async () => {
  ok(await auth.refreshSession())
  const thief = await client().refreshSession({ refresh_token: parent })
  refused(thief, 'refresh_token_already_used', 400)
  refused(await auth.refreshSession(), 'refresh_token_not_found', 400)
  ok(await auth.signInWithPassword({ email, password }))
})

step('updateUser changes data and password', async () => {
  const { user } = ok(await auth.updateUser({ data: { full_name: 'Ada L.', phone: null } }))
  assert.equal(user.user_metadata.full_name, 'Ada L.')
  refused(await auth.updateUser({ password }), 'same_password', 422)
  refused(await auth.updateUser({ password: 'short' }), 'weak_password', 422)
  ok(await auth.updateUser({ password: `${password} staple` }))
  refused(await client().signInWithPassword({ email, password }), 'invalid_credentials', 400)
})

step('signOut ends the session for its tokens too', async () => {
  const { session } = ok(await auth.getSession())
  assert.equal((await auth.signOut()).error, null)
  assert.equal(ok(await auth.getSession()).session, null)
  // The client turns session_not_found into its own "session missing".
  const gone = await client().getUser(session.access_token)
  assert.equal(gone.error?.name, 'AuthSessionMissingError')
  refused(await client().refreshSession({ refresh_token: session.refresh_token }), 'refresh_token_not_found', 400)
})

step('getUser after signOut finds no session', async () => {
  const { error } = await auth.getUser()
  assert.equal(error?.name, 'AuthSessionMissingError')
})

for (const [name, run] of steps) {
  try {
    await run()
    console.log(`ok     ${name}`)
  } catch (error) {
    console.error(`FAILED ${name}`)
    console.error(error)
    process.exit(1)
  }
}
