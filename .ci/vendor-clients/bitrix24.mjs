// @2bad/bitrix against the simulated Bitrix24.
import assert from 'node:assert/strict'
import module from '@2bad/bitrix'
import { check, sims, refusal } from './run.mjs'

const Bitrix = module.default ?? module
const bitrix = Bitrix(sims.bitrix24.url.replace(/\/$/, ''))
let id

await check('bitrix24: create and read a contact', async () => {
  id = (await bitrix.contacts.create({ NAME: 'Zoë 🌊', PHONE: [{ VALUE: '+393331112233', VALUE_TYPE: 'MOBILE' }] })).result
  assert.ok(Number.isInteger(id))
  const read = await bitrix.contacts.get(id)
  assert.equal(read.result.NAME, 'Zoë 🌊')
  assert.equal(read.result.ID, String(id))
  assert.equal(read.result.PHONE[0].VALUE, '+393331112233')
})

await check('bitrix24: update it', async () => {
  assert.equal((await bitrix.contacts.update(id, { LAST_NAME: 'Rossi' })).result, true)
  assert.equal((await bitrix.contacts.get(id)).result.LAST_NAME, 'Rossi')
})

await check('bitrix24: an unknown contact is refused', async () => {
  const e = await refusal(bitrix.contacts.get('999999'))
  assert.equal(e.response.statusCode, 400)
})

await check('bitrix24: all are listed, page by page', async () => {
  const commands = {}
  for (let n = 0; n < 60; n++) commands[`c${n}`] = { method: 'crm.contact.add', params: { fields: { NAME: `N${n}` } } }
  await bitrix.batch(commands)
  const all = await bitrix.contacts.list({ select: ['ID', 'NAME'] })
  const ids = all.result.map((c) => c.ID)
  assert.equal(new Set(ids).size, 61)
})

await check('bitrix24: one bad command of a batch does not stop the others', async () => {
  const e = await refusal(bitrix.batch({
    good: { method: 'crm.contact.get', params: { ID: id } },
    bad: { method: 'crm.contact.get', params: { ID: 999999 } },
  }))
  assert.match(String(e), /errors in 1 commands/)
})

await check('bitrix24: the duplicate search finds by phone', async () => {
  const found = await bitrix.call('crm.duplicate.findbycomm', { entity_type: 'CONTACT', type: 'PHONE', values: ['+393331112233'] })
  assert.deepEqual(found.result, { CONTACT: [id] })
})

await check('bitrix24: a wrong secret is refused', async () => {
  const wrong = Bitrix(sims.bitrix24.url.replace(/\/[^/]+\/$/, '/wrong'))
  await refusal(wrong.contacts.get(String(id)))
})
