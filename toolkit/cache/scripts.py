"""The steps that have to be one in the server, as Lua.

Names of keys are made in the scripts from ids, so they need a single server. Everything that may
fail stands before the first write: a script that fails half way leaves what it wrote. A script
that renames first may set small keys even where memory is full.
"""

_CURRENT = """
local function current(key)
  local text = redis.call('GET', key)
  return text and cjson.decode(text) or {}
end
"""

RENEW = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
"""Keep a lock: KEYS lock; ARGV token, ms. 1 if it still was ours."""

RELEASE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('UNLINK', KEYS[1])
"""
"""Give a lock back: KEYS lock; ARGV token."""

PUT = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
for i = 4, #ARGV, 3 do
  redis.call('SET', ARGV[2] .. ARGV[i], ARGV[i + 1], 'PX', ARGV[3])
  redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 2])
end
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return 1
"""
"""Stage values: KEYS lock, index; ARGV token, prefix, ms, then id, value, entry of each."""

CLAIM = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if redis.call('ZSCORE', KEYS[2], ARGV[2]) then return 0 end
redis.call('HSET', KEYS[4], unpack(ARGV, 5))
redis.call('PEXPIRE', KEYS[4], ARGV[3])
redis.call('HSET', KEYS[3], ARGV[2], ARGV[4])
return 1
"""
"""Write a release that is being made into the books: KEYS lock, registry, staged, meta; ARGV token,
release, ms, what to note of it, then the names and values of its hash. 0 if the lock was lost."""

DROP = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[2], unpack(ARGV, 2))
return 1
"""
"""Take products out of a staged release's index: KEYS lock, index; ARGV token, ids."""

CARRY_OVER = (
    _CURRENT
    + """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'lock'} end
local from = current(KEYS[3])
if from.release ~= ARGV[5] then return {'moved', tostring(from.release)} end
local index = 'forecast:release:' .. from.release .. ':index'
for i = 6, #ARGV do
  local id = ARGV[i]
  local value = redis.call('GET', 'forecast:product:' .. id .. ':' .. from.as_of_date)
  local entry = redis.call('HGET', index, id)
  local rest = value and string.match(value, '^{"release":"[^"]*"(.*)$')
  if rest and entry and entry ~= 'invalidated' then
    value = '{"release":"' .. ARGV[4] .. '"' .. rest
    local status = string.match(entry, '[^:]*$')
    redis.call('SET', ARGV[2] .. id, value, 'PX', ARGV[3])
    redis.call('HSET', KEYS[2], id, redis.sha1hex(value) .. ':' .. #value .. ':' .. status)
  end
end
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return {'done'}
"""
)
"""Stage the current release's values under another release's name.

KEYS lock, index, pointer; ARGV token, prefix, ms, release, the current release, then ids. Returns
a word; what is not there is left out.
"""

VERIFY = """
local wrong = {}
for i = 3, #ARGV do
  local entry = redis.call('HGET', KEYS[1], ARGV[i])
  if entry ~= 'invalidated' then
    local value = redis.call('GET', ARGV[1] .. ARGV[i] .. ARGV[2])
    if not value then
      wrong[#wrong + 1] = ARGV[i] .. ' is missing'
    elseif not entry or string.match(entry, '^[^:]*:[^:]*') ~= redis.sha1hex(value) .. ':' .. #value
    then
      wrong[#wrong + 1] = ARGV[i] .. ' is not what was written'
    end
  end
end
return wrong
"""
"""What is missing or not what its index says: KEYS index; ARGV before the id, after it, ids."""

FLIP = (
    _CURRENT
    + """
local rid, token, base = ARGV[1], ARGV[2], ARGV[3]
if token ~= '' and redis.call('GET', KEYS[1]) ~= token then return {'lock'} end
if token == '' and not redis.call('ZSCORE', KEYS[4], rid) then return {'gone'} end
local old = current(KEYS[2])
if old.release == rid then return {'current', tostring(old.flip)} end
if base ~= '' and old.release ~= base then return {'moved', tostring(old.release)} end
local meta = 'forecast:release:' .. rid
local as_of, ttl = unpack(redis.call('HMGET', meta, 'as_of_date', 'ttl_ms'))
if not as_of then return {'gone'} end
redis.call('GET', KEYS[3])
redis.call('ZCARD', KEYS[4])
redis.call('HLEN', KEYS[5])
redis.call('GET', KEYS[6])
local staged = meta .. ':product:'
local entries = redis.call('HGETALL', meta .. ':index')
if #entries ~= 2 * tonumber(ARGV[8]) then return {'count', tostring(#entries / 2)} end
local ids, served, missing = {}, {}, {'missing'}
for i = 1, #entries, 2 do
  if entries[i + 1] ~= 'invalidated' then
    ids[#ids + 1] = entries[i]
    served[entries[i]] = true
    if redis.call('EXISTS', staged .. entries[i]) == 0 then missing[#missing + 1] = entries[i] end
  end
end
if #missing > 1 then return missing end
if old.release then
  local retired = 'forecast:release:' .. old.release
  local keep = retired .. ':product:'
  for _, id in ipairs(redis.call('HKEYS', retired .. ':index')) do
    local plain = 'forecast:product:' .. id .. ':' .. old.as_of_date
    if redis.call('EXISTS', plain) == 1 then
      redis.call('RENAME', plain, keep .. id)
      redis.call('PEXPIRE', keep .. id, ARGV[4])
    end
  end
  redis.call('PEXPIRE', retired, ARGV[4])
  redis.call('PEXPIRE', retired .. ':index', ARGV[4])
end
for _, id in ipairs(cjson.decode(redis.call('HGET', meta, 'product_ids'))) do
  local name = string.format('%.0f', id)
  if not served[name] then
    redis.call('UNLINK', 'forecast:product:' .. name .. ':' .. as_of)
  end
end
local jitter = math.floor(ttl * ARGV[5])
for _, id in ipairs(ids) do
  local plain = 'forecast:product:' .. id .. ':' .. as_of
  redis.call('RENAME', staged .. id, plain)
  redis.call('PEXPIRE', plain, ttl - math.floor(jitter * math.random()))
end
local flip = redis.call('INCR', KEYS[3])
redis.call('SET', KEYS[6], ARGV[6], 'NX')
redis.call('SET', KEYS[2], cjson.encode({format = 1, release = rid, as_of_date = as_of, flip = flip,
  epoch = redis.call('GET', KEYS[6])}))
redis.call('ZADD', KEYS[4], flip, rid)
if old.release then redis.call('ZADD', KEYS[4], flip - 0.5, old.release) end
redis.call('HSET', meta, 'flip', flip)
if token ~= '' then
  redis.call('HDEL', KEYS[5], rid)
  redis.call('HSET', meta, 'replaced', old.release or '', 'published_at', ARGV[7])
end
redis.call('PERSIST', meta)
redis.call('PERSIST', meta .. ':index')
return {'flipped', tostring(flip)}
"""
)
"""Make a release the current one.

KEYS lock, pointer, flip count, registry, staged, epoch; ARGV release, token (empty: a release
that was published before), the release it was carried over from (empty: none), ms that the old
one is kept, jitter, a new epoch's name, the time, how many products its index has. Returns a word;
nothing was changed unless it is ``flipped``. The pointer and what is said of the current release
have no time to live: a server that drops keys which have one, for want of memory, drops forecasts.
"""

INVALIDATE = (
    _CURRENT
    + """
local now = current(KEYS[1])
local releases = redis.call('ZRANGE', KEYS[2], 0, -1)
for _, rid in ipairs(redis.call('HKEYS', KEYS[3])) do releases[#releases + 1] = rid end
local unserved = 0
for i = 2, #ARGV do
  local id = ARGV[i]
  redis.call('INCR', 'forecast:invalidated:' .. id)
  redis.call('PEXPIRE', 'forecast:invalidated:' .. id, ARGV[1])
  if now.release then
    unserved = unserved + redis.call('UNLINK', 'forecast:product:' .. id .. ':' .. now.as_of_date)
  end
  for _, rid in ipairs(releases) do
    local index = 'forecast:release:' .. rid .. ':index'
    if redis.call('HEXISTS', index, id) == 1 then
      redis.call('HSET', index, id, 'invalidated')
      redis.call('UNLINK', 'forecast:release:' .. rid .. ':product:' .. id)
    end
  end
end
return unserved
"""
)
"""Stop serving products: KEYS pointer, registry, staged; ARGV ms to remember it, ids."""

FORGET = (
    _CURRENT
    + """
if current(KEYS[1]).release == ARGV[1] then return 0 end
local staged = redis.call('HGET', KEYS[3], ARGV[1])
if staged and cjson.decode(staged).token == redis.call('GET', KEYS[4]) then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
return 1
"""
)
"""Take a release out of the books, unless it is current or being made: KEYS pointer, registry,
staged, lock; ARGV release."""

STORE = """
local count = redis.call('GET', KEYS[4]) or '0'
if ARGV[5] ~= '' and count ~= ARGV[5] then return 'invalidated' end
local text = redis.call('GET', KEYS[1])
local served = (text and cjson.decode(text).as_of_date == ARGV[4])
  or (redis.call('TYPE', KEYS[2]).ok == 'string'
    and redis.call('GETRANGE', KEYS[2], 0, 10) == '{"release":')
redis.call('SET', KEYS[served and 3 or 2], ARGV[1], 'PX', ARGV[served and 3 or 2])
return served and 'own' or 'plain'
"""
"""Store a forecast that belongs to no release, under the plain key unless a release has that.

KEYS pointer, plain, own, invalidated; ARGV value, ms that it stays under the plain key and under
its own, as-of date, how often the product was invalidated when it was read (empty: not known).
"""

LOCK = """
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
return redis.call('GET', KEYS[1])
"""
"""Take a lock: KEYS lock; ARGV token, ms. 1 if it is ours now, else the token of who has it."""
