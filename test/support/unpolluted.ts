// After every test: nothing has been added to Object.prototype, and nothing taken from it. Whatever was parsed, merged or refused in between.
import { afterEach, expect } from 'vitest'

const own = (): string => Reflect.ownKeys(Object.prototype).map(String).join(' ')
const before = own()

afterEach(() => {
  expect(own(), 'names of Object.prototype').toBe(before)
})
