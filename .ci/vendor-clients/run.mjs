// Runs the vendors' own clients against crmsync's simulators. The simulators
// are what CRMSYNC_SIMULATORS says, as `crmsync simulate --output json` does.
export const sims = JSON.parse(process.env.CRMSYNC_SIMULATORS)

let failed = 0

// check runs one call, or a few, and says how it went.
export async function check(name, call) {
  try {
    await call()
    console.log(`ok    ${name}`)
  } catch (e) {
    failed++
    console.log(`FAIL  ${name}\n      ${String(e.stack ?? e).split('\n').slice(0, 4).join('\n      ')}`)
  }
  process.exitCode = failed ? 1 : 0
}

// refusal is the error of a call that must fail.
export async function refusal(call) {
  try {
    await call
  } catch (e) {
    return e
  }
  throw new Error('it was accepted')
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
