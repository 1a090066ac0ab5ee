// @zohocrm/nodejs-sdk-8.0 against the simulated Zoho CRM.
import assert from 'node:assert/strict'
import { mkdtempSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { check, sims, sleep } from './run.mjs'

await import('@zohocrm/nodejs-sdk-8.0') // first: its parts import each other in circles
const lib = (path) => import(`@zohocrm/nodejs-sdk-8.0/lib/${path}.js`)
const core = (path) => lib(`core/com/zoho/crm/api/${path}`)
const { InitializeBuilder } = await lib('routes/initialize_builder')
const { OAuthBuilder } = await lib('models/authenticator/oauth_builder')
const { FileStore } = await lib('models/authenticator/store/file_store')
const { Environment } = await lib('routes/dc/environment')
const { SDKConfigBuilder } = await lib('routes/sdk_config_builder')
const { LogBuilder } = await lib('routes/logger/log_builder')
const { Levels } = await lib('routes/logger/logger')
const { ParameterMap } = await lib('routes/parameter_map')
const { HeaderMap } = await lib('routes/header_map')
const { RecordOperations, GetRecordsParam, SearchRecordsParam } = await core('record/record_operations')
const { BodyWrapper } = await core('record/body_wrapper')
const { Record } = await core('record/record')
const { CoqlOperations } = await core('coql/coql_operations')
const { BodyWrapper: Query } = await core('coql/body_wrapper')

const dir = mkdtempSync(join(tmpdir(), 'zoho-client-'))
mkdirSync(join(dir, 'resources'))
const { url, accounts_url, client_id, client_secret, refresh_token } = sims.zoho
const environment = new Environment(url, `${accounts_url}/oauth/v2/token`, url)
const token = new OAuthBuilder().clientId(client_id).clientSecret(client_secret).refreshToken(refresh_token).findUser(false).build()
await (await new InitializeBuilder())
  .environment(environment).token(token).store(new FileStore(join(dir, 'tokens.txt')))
  .SDKConfig(new SDKConfigBuilder().autoRefreshFields(false).pickListValidation(false).build())
  .resourcePath(dir).logger(new LogBuilder().level(Levels.OFF).filePath(join(dir, 'log')).build()).initialize()

function person(fields) {
  const r = new Record()
  for (const [name, value] of Object.entries(fields)) r.addKeyValue(name, value)
  return r
}

async function write(method, records, more = () => {}) {
  const body = new BodyWrapper()
  body.setData(records)
  more(body)
  const answer = await new RecordOperations('Contacts')[method](body)
  return { status: answer.getStatusCode(), rows: answer.getObject().getData() }
}

const code = (row) => row.getCode().getValue()
let id

await check('zoho: create a contact', async () => {
  const { rows } = await write('createRecords', [person({ Last_Name: 'Müller 🌊', Email: 'mueller@example.com' })])
  assert.equal(code(rows[0]), 'SUCCESS')
  id = rows[0].getDetails().get('id')
  assert.match(String(id), /^\d{16,19}$/)
})

await check('zoho: read it again', async () => {
  const answer = await new RecordOperations('Contacts').getRecord(BigInt(id), new ParameterMap(), new HeaderMap())
  assert.equal(answer.getObject().getData()[0].getKeyValue('Last_Name'), 'Müller 🌊')
})

await check('zoho: upsert by e-mail updates it', async () => {
  const { rows } = await write('upsertRecords', [person({ Last_Name: 'Meier', Email: 'mueller@example.com' })], (b) => b.setDuplicateCheckFields(['Email']))
  assert.equal(code(rows[0]), 'SUCCESS')
  assert.equal(String(rows[0].getDetails().get('id')), String(id))
})

await check('zoho: one bad row of three does not stop the others', async () => {
  const { rows } = await write('createRecords', [person({ Last_Name: 'A' }), person({ First_Name: 'No last name' }), person({ Last_Name: 'C' })])
  assert.deepEqual(rows.map(code), ['SUCCESS', 'MANDATORY_NOT_FOUND', 'SUCCESS'])
})

await check('zoho: search finds it after the index lag', async () => {
  for (let tries = 0; ; tries++) {
    const p = new ParameterMap()
    await p.add(SearchRecordsParam.EMAIL, 'mueller@example.com')
    const answer = await new RecordOperations('Contacts').searchRecords(p, new HeaderMap())
    if (answer && answer.getStatusCode() === 200) return
    assert.ok(tries < 30, 'it is never found')
    await sleep(500)
  }
})

await check('zoho: it is listed', async () => {
  const p = new ParameterMap()
  await p.add(GetRecordsParam.FIELDS, 'Last_Name,Email')
  const answer = await new RecordOperations('Contacts').getRecords(p, new HeaderMap())
  assert.ok(answer.getObject().getData().length >= 3)
})

await check('zoho: COQL finds it at once', async () => {
  const query = new Query()
  query.setSelectQuery("select Last_Name, Email from Contacts where Email = 'mueller@example.com' limit 10")
  const answer = await new CoqlOperations().getRecords(query)
  assert.equal(answer.getObject().getData()[0].getKeyValue('Last_Name'), 'Meier')
})

await check('zoho: a token that has expired is renewed', async () => {
  await fetch(`${url}/_sim/clock`, { method: 'POST', body: '{"advance":"61m"}' })
  // The client goes by its own clock and never asks anew after a 401, so its
  // store has to say that an hour has passed.
  const file = join(dir, 'tokens.txt')
  const [header, row, ...rest] = readFileSync(file, 'utf8').split('\n')
  const cells = row.split(',')
  cells[header.split(',').indexOf('expiry_time')] = '1000'
  writeFileSync(file, [header, cells.join(','), ...rest].join('\n'))
  const { rows } = await write('createRecords', [person({ Last_Name: 'Later' })])
  assert.equal(code(rows[0]), 'SUCCESS')
})
