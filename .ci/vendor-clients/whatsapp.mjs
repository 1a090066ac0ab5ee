// @kapso/whatsapp-cloud-api against the simulated WhatsApp.
import assert from 'node:assert/strict'
import { WhatsAppClient } from '@kapso/whatsapp-cloud-api'
import { check, sims, refusal } from './run.mjs'

const { url, token, phone_number_id: phoneNumberId } = sims.whatsapp
const client = new WhatsAppClient({ accessToken: token, baseUrl: url, graphVersion: 'v24.0' })

await check('whatsapp: a text is sent', async () => {
  const sent = await client.messages.sendText({ phoneNumberId, to: '393331112233', body: 'Hello' })
  assert.match(sent.messages[0].id, /^wamid\./)
})

await check('whatsapp: a template is sent', async () => {
  const sent = await client.messages.sendTemplate({
    phoneNumberId, to: '393331112233',
    template: { name: 'order_update', language: { code: 'it' }, components: [{ type: 'body', parameters: [{ type: 'text', text: 'Giulia' }, { type: 'text', text: 'A-1' }] }] },
  })
  assert.match(sent.messages[0].id, /^wamid\./)
})

await check('whatsapp: a wrong token is refused', async () => {
  const wrong = new WhatsAppClient({ accessToken: 'wrong', baseUrl: url, graphVersion: 'v24.0' })
  const e = await refusal(wrong.messages.sendText({ phoneNumberId, to: '393331112233', body: 'x' }))
  assert.ok([190, 401].includes(e.code ?? e.httpStatus) || e.httpStatus === 401, `${e.code} ${e.httpStatus}`)
})
