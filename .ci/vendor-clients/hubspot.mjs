// @hubspot/api-client against the simulated HubSpot.
import assert from 'node:assert/strict'
import hubspot from '@hubspot/api-client'
import { check, sims, refusal, sleep } from './run.mjs'

const { url, token } = sims.hubspot
const client = new hubspot.Client({ accessToken: token, basePath: url })
const contacts = client.crm.contacts

await check('hubspot: create and read a contact', async () => {
  const made = await contacts.basicApi.create({ properties: { firstname: 'Zoë 🌊', phone: '+393331112233', email: 'zoe@example.com' }, associations: [] })
  assert.match(made.id, /^\d+$/)
  const read = await contacts.basicApi.getById(made.id, ['firstname', 'phone', 'email'])
  assert.equal(read.properties.firstname, 'Zoë 🌊')
  assert.equal(read.archived, false)
  assert.ok(read.createdAt instanceof Date)
  const changed = await contacts.basicApi.update(made.id, { properties: { firstname: 'Zoe' } })
  assert.equal(changed.properties.firstname, 'Zoe')
})

await check('hubspot: an unknown contact is a 404', async () => {
  const e = await refusal(contacts.basicApi.getById('999999999'))
  assert.equal(e.code, 404)
})

await check('hubspot: upsert by e-mail twice is one contact', async () => {
  const input = { idProperty: 'email', id: 'upsert@example.com', properties: { firstname: 'Up' } }
  const first = await contacts.batchApi.upsert({ inputs: [input] })
  const again = await contacts.batchApi.upsert({ inputs: [{ ...input, properties: { firstname: 'Down' } }] })
  assert.equal(first.results[0].id, again.results[0].id)
  assert.equal(first.results[0]._new, true)
  assert.equal(again.results[0]._new, false)
})

await check('hubspot: a batch is created and read', async () => {
  const inputs = [1, 2, 3].map((n) => ({ properties: { firstname: `B${n}`, email: `b${n}@example.com` }, associations: [] }))
  const made = await contacts.batchApi.create({ inputs })
  assert.equal(made.status, 'COMPLETE')
  assert.equal(made.results.length, 3)
  const read = await contacts.batchApi.read({ inputs: made.results.map((r) => ({ id: r.id })), properties: ['firstname'], propertiesWithHistory: [] })
  assert.deepEqual(read.results.map((r) => r.properties.firstname).sort(), ['B1', 'B2', 'B3'])
})

await check('hubspot: a bad value is refused with its name', async () => {
  const e = await refusal(contacts.basicApi.create({ properties: { nosuchproperty: 'x' }, associations: [] }))
  assert.equal(e.code, 400)
  assert.equal(e.body.category, 'VALIDATION_ERROR')
  assert.ok(JSON.stringify(e.body).includes('nosuchproperty'))
})

await check('hubspot: search finds after the index lag', async () => {
  const search = { filterGroups: [{ filters: [{ propertyName: 'email', operator: 'EQ', value: 'zoe@example.com' }] }], properties: ['email'], limit: 10, sorts: [] }
  for (let tries = 0; ; tries++) {
    const found = await contacts.searchApi.doSearch(search)
    if (found.total === 1) return assert.equal(found.results[0].properties.email, 'zoe@example.com')
    assert.ok(tries < 30, 'it is never found')
    await sleep(500)
  }
})

await check('hubspot: every contact is listed once', async () => {
  const all = await contacts.getAll(2, undefined, ['email'])
  assert.equal(new Set(all.map((c) => c.id)).size, all.length)
  assert.ok(all.length >= 5)
})

await check('hubspot: a property is made and described', async () => {
  const api = client.crm.properties.coreApi
  const made = await api.create('contacts', { name: 'client_note', label: 'Client note', type: 'string', fieldType: 'text', groupName: 'contactinformation' })
  assert.equal(made.name, 'client_note')
  const read = await api.getByName('contacts', 'client_note')
  assert.equal(read.label, 'Client note')
})

await check('hubspot: owners are listed', async () => {
  const page = await client.crm.owners.ownersApi.getPage()
  assert.ok(page.results.length > 0 && page.results[0].email.includes('@'))
})

await check('hubspot: a token is refreshed and used', async () => {
  const { client_id, client_secret, refresh_token } = sims.hubspot
  const fresh = await new hubspot.Client({ basePath: url }).oauth.tokensApi
    .create('refresh_token', undefined, undefined, client_id, client_secret, refresh_token)
  assert.equal(fresh.expiresIn, 1800)
  const page = await new hubspot.Client({ accessToken: fresh.accessToken, basePath: url }).crm.contacts.basicApi.getPage(1)
  assert.equal(page.results.length, 1)
})

await check('hubspot: a batch succeeds in part', async () => {
  const input = (trace, email) => ({ objectWriteTraceId: trace, properties: { email }, associations: [] })
  const made = await contacts.batchApi.create({ inputs: [input('a', 'zoe@example.com'), input('b', 'part@example.com')] })
  assert.equal(made.results.length, 1)
  assert.equal(made.errors[0].category, 'CONFLICT')
  assert.deepEqual(made.errors[0].context.objectWriteTraceId, ['a'])
})

await check('hubspot: a message is logged and associated', async () => {
  const contact = await contacts.basicApi.create({ properties: { firstname: 'Mia' }, associations: [] })
  const link = [{ associationCategory: 'HUBSPOT_DEFINED', associationTypeId: 81 }]
  const properties = {
    hs_communication_channel_type: 'WHATS_APP', hs_communication_logged_from: 'CRM', hs_communication_body: 'ciao', hs_timestamp: '2026-10-01T08:00:00Z',
  }
  const { communications } = client.crm.objects
  const first = await communications.basicApi.create({ properties, associations: [{ to: { id: contact.id }, types: link }] })
  const second = await communications.basicApi.create({ properties, associations: [] })
  const { basicApi, batchApi } = client.crm.associations.v4
  const inputs = [{ _from: { id: second.id }, to: { id: contact.id }, types: link }]
  const linked = await batchApi.create('communications', 'contacts', { inputs })
  assert.equal(linked.results[0].fromObjectTypeId, '0-18')
  const page = await basicApi.getPage('contacts', contact.id, 'communications')
  assert.deepEqual(page.results.map((r) => String(r.toObjectId)).sort(), [first.id, second.id].sort())
})

await check('hubspot: two contacts become one', async () => {
  const [one, other] = await Promise.all(['One', 'Other'].map((lastname) => contacts.basicApi.create({ properties: { lastname }, associations: [] })))
  const merged = await contacts.basicApi.merge({ primaryObjectId: one.id, objectIdToMerge: other.id })
  assert.equal((await contacts.basicApi.getById(other.id)).id, merged.id)
})

await check('hubspot: a contact is archived', async () => {
  const made = await contacts.basicApi.create({ properties: { email: 'gone@example.com' }, associations: [] })
  await contacts.basicApi.archive(made.id)
  assert.equal((await refusal(contacts.basicApi.getById(made.id))).code, 404)
})

await check('hubspot: a wrong token is a 401', async () => {
  const wrong = new hubspot.Client({ accessToken: 'wrong', basePath: url })
  assert.equal((await refusal(wrong.crm.contacts.basicApi.getPage())).code, 401)
})
