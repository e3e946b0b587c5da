"""The steps that have to be one in the server, as Lua.

Names of keys are made in the scripts from ids, so they need a single server. Everything that may
fail stands before the first write: a script that fails half way leaves what it wrote. A script
whose first write takes no memory may set small keys even where memory is full.
"""

_CURRENT = """
local function current(key)
  local text = redis.call('GET', key)
  return text and cjson.decode(text) or {}
end
"""

_VALUES = """
local function holder(plain)
  local head = redis.pcall('GETRANGE', plain, 0, 80)
  return type(head) == 'string' and string.match(head, '^{"release":"([^"]*)"') or nil
end
local function put_back(plain, id, release, keep)
  local own = 'forecast:release:' .. release
  local entry = redis.call('HGET', own .. ':index', id)
  if not entry or entry == 'invalidated' then redis.call('UNLINK', plain) return end
  redis.call('RENAME', plain, own .. ':product:' .. id)
  redis.call('PEXPIRE', own .. ':product:' .. id, keep)
end
local function whole(value, entry)
  return value and entry
    and string.match(entry, '^[^:]*:[^:]*') == redis.sha1hex(value) .. ':' .. #value
end
"""
"""Which release a value under a plain key is of; its way back; whether it is what was written."""

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
    + _VALUES
    + """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'lock'} end
local from = current(KEYS[3])
if from.release ~= ARGV[5] then return {'moved', tostring(from.release)} end
local own = 'forecast:release:' .. from.release
for i = 7, #ARGV do
  local id = ARGV[i]
  local value = redis.call('GET', own .. ':product:' .. id)
    or redis.call('GET', 'forecast:product:' .. id .. ':' .. from.as_of_date)
  local entry = redis.call('HGET', own .. ':index', id)
  local pairs = 'forecast:release:' .. ARGV[4] .. ':pairs:' .. id
  if whole(value, entry) and redis.call('COPY', own .. ':pairs:' .. id, pairs, 'REPLACE') == 1 then
    redis.call('PEXPIRE', pairs, ARGV[6])
    value = '{"release":"' .. ARGV[4] .. '"' .. string.match(value, '^{"release":"[^"]*"(.*)$')
    local status = string.match(entry, '[^:]*$')
    redis.call('SET', ARGV[2] .. id, value, 'PX', ARGV[3])
    redis.call('HSET', KEYS[2], id, redis.sha1hex(value) .. ':' .. #value .. ':' .. status)
  end
end
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return {'done'}
"""
)
"""Stage the current release's values, and their pairs, under another release's name.

KEYS lock, index, pointer; ARGV token, prefix, ms, release, the current release, ms that pairs stay,
then ids. Returns a word; what is not there, or not what was written, is left out.
"""

VERIFY = (
    _VALUES
    + """
local wrong = {}
for i = 2, #ARGV do
  local entry = redis.call('HGET', KEYS[1], ARGV[i])
  if entry ~= 'invalidated' then
    local value = redis.call('GET', ARGV[1] .. ARGV[i])
    if not value then
      wrong[#wrong + 1] = ARGV[i] .. ' is missing'
    elseif not whole(value, entry) then
      wrong[#wrong + 1] = ARGV[i] .. ' is not what was written'
    end
  end
end
return wrong
"""
)
"""What is missing or not what its index says: KEYS index; ARGV before the id, ids."""

FLIP = (
    _CURRENT
    + """
local rid, token, base = ARGV[1], ARGV[2], ARGV[3]
if token ~= '' and redis.call('GET', KEYS[1]) ~= token then return {'lock'} end
if token == '' and not redis.call('ZSCORE', KEYS[4], rid) then return {'gone'} end
local flips = redis.call('GET', KEYS[3]) or '0'
if not string.match(flips, '^%d+$') or #flips > 15 then
  return redis.error_reply('the key ' .. KEYS[3] .. ' holds no count')
end
local old = current(KEYS[2])
if old.release == rid then return {'current', tostring(old.flip)} end
if base ~= '' and old.release ~= base then return {'moved', tostring(old.release)} end
local meta = 'forecast:release:' .. rid
local as_of = redis.call('HGET', meta, 'as_of_date')
if not as_of then return {'gone'} end
local count = redis.call('HLEN', meta .. ':index')
if count ~= tonumber(ARGV[8]) then return {'count', tostring(count)} end
redis.call('ZCARD', KEYS[4])
redis.call('HLEN', KEYS[5])
redis.call('GET', KEYS[6])
redis.call('SCARD', KEYS[7])
if KEYS[8] then redis.call('XLEN', KEYS[8]) end
redis.call('PERSIST', meta)
redis.call('PERSIST', meta .. ':index')
if old.release then
  local retired = 'forecast:release:' .. old.release
  redis.call('PEXPIRE', retired, ARGV[4])
  redis.call('PEXPIRE', retired .. ':index', ARGV[4])
  redis.call('SADD', KEYS[7], old.release)
end
redis.call('SADD', KEYS[7], rid)
local flip = redis.call('INCR', KEYS[3])
redis.call('SET', KEYS[6], ARGV[5], 'NX')
redis.call('SET', KEYS[2], cjson.encode({format = 1, release = rid, as_of_date = as_of, flip = flip,
  epoch = redis.call('GET', KEYS[6]), products = count, expires_at = ARGV[6]}))
redis.call('ZADD', KEYS[4], flip, rid)
if old.release then redis.call('ZADD', KEYS[4], flip - 0.5, old.release) end
redis.call('HSET', meta, 'flip', flip)
if token ~= '' then
  redis.call('HDEL', KEYS[5], rid)
  redis.call('HSET', meta, 'replaced', old.release or '', 'published_at', ARGV[7])
end
for i = 10, #ARGV do redis.call('XACK', KEYS[8], ARGV[9], ARGV[i]) end
return {'flipped', tostring(flip)}
"""
)
"""Make a release the current one: the pointer moves, no value does.

KEYS lock, pointer, flip count, registry, staged, epoch, behind, and a stream, if entries of it are
acknowledged; ARGV release, token (empty: a release that was published before), the release it was
carried over from (empty: none), ms that the old one is kept, a new epoch's name, when its values
begin to expire, the time, how many products its index has, then the stream's group and entries.
Returns a word; nothing was changed unless it is ``flipped``. The pointer and what is
said of the current release have no time to live: a server that drops keys which have one, for want
of memory, drops forecasts.
"""

PLAIN = (
    _CURRENT
    + _VALUES
    + """
local now = current(KEYS[1])
if now.release ~= ARGV[1] or now.flip ~= tonumber(ARGV[2]) then return {'moved'} end
local own, wrong = 'forecast:release:' .. ARGV[1], {'done'}
for i = 6, #ARGV do
  local id = ARGV[i]
  local plain, value = 'forecast:product:' .. id .. ':' .. now.as_of_date, nil
  local entry = redis.call('HGET', own .. ':index', id)
  local of = holder(plain)
  if of ~= now.release then
    if of then put_back(plain, id, of, ARGV[5]) else redis.call('UNLINK', plain) end
    value = redis.call('GET', own .. ':product:' .. id)
    if value and whole(value, entry) then
      redis.call('RENAME', own .. ':product:' .. id, plain)
      redis.call('PEXPIRE', plain, ARGV[3] - math.floor(ARGV[3] * ARGV[4] * math.random()))
    elseif entry and entry ~= 'invalidated' then
      wrong[#wrong + 1] = id
    end
  end
end
return wrong
"""
)
"""Let plain keys hold the current release's values, and those of others go back to their own.

KEYS pointer; ARGV release, flip, ms that values stay, jitter, ms that another release is kept, ids.
Returns ``moved``, if another release is current, or ``done`` and the ids of what is missing or not
what was written.
"""

RETIRE = (
    _CURRENT
    + _VALUES
    + """
if current(KEYS[1]).flip ~= tonumber(ARGV[2]) then return {'moved'} end
for i = 5, #ARGV do
  local plain = 'forecast:product:' .. ARGV[i] .. ':' .. ARGV[3]
  if holder(plain) == ARGV[1] then put_back(plain, ARGV[i], ARGV[1], ARGV[4]) end
end
return {'done'}
"""
)
"""Take values of a release that is not current from plain keys: KEYS pointer; ARGV release, flip,
its as-of date, ms that it is kept, ids. Returns a word."""

SETTLED = (
    _CURRENT
    + """
if current(KEYS[1]).flip ~= tonumber(ARGV[2]) then return {'moved'} end
redis.call('SREM', KEYS[2], ARGV[1])
return {'done'}
"""
)
"""The plain keys have followed for a release: KEYS pointer, behind; ARGV release, flip."""

INVALIDATE = (
    _CURRENT
    + _VALUES
    + """
local now = current(KEYS[1])
local releases = redis.call('ZRANGE', KEYS[2], 0, -1)
for _, rid in ipairs(redis.call('HKEYS', KEYS[3])) do releases[#releases + 1] = rid end
local dates = {}
for _, rid in ipairs(redis.call('SMEMBERS', KEYS[4])) do
  dates[rid] = redis.call('HGET', 'forecast:release:' .. rid, 'as_of_date')
end
if now.release then dates[now.release] = now.as_of_date end
local unserved = 0
for i = 2, #ARGV do
  local id = ARGV[i]
  redis.call('INCR', 'forecast:invalidated:' .. id)
  redis.call('PEXPIRE', 'forecast:invalidated:' .. id, ARGV[1])
  for _, rid in ipairs(releases) do
    local own, gone = 'forecast:release:' .. rid, 0
    if redis.call('HEXISTS', own .. ':index', id) == 1 then
      redis.call('HSET', own .. ':index', id, 'invalidated')
      gone = redis.call('UNLINK', own .. ':product:' .. id)
      redis.call('UNLINK', own .. ':pairs:' .. id)
    end
    local plain = dates[rid] and 'forecast:product:' .. id .. ':' .. dates[rid]
    if plain and (rid == now.release or holder(plain) == rid) then
      gone = gone + redis.call('UNLINK', plain)
    end
    if rid == now.release and gone > 0 then unserved = unserved + 1 end
  end
end
return unserved
"""
)
"""Stop serving products: KEYS pointer, registry, staged, behind; ARGV ms to remember it, ids."""

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

READ_FEED = """
redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
local found = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', ARGV[3],
  'STREAMS', KEYS[1], ARGV[4])
return found and found[1][2] or {}
"""
"""Read entries of a stream, whose group is made where there is none: KEYS stream; ARGV group,
consumer, how many, after which pending entry (``>``: new ones)."""

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
