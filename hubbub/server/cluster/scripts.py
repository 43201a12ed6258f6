"""What Redis does in one step: each script is atomic, so two servers never see the half of it.

Every key of a chat begins with the same prefix, in braces, so that in a Redis Cluster all of them are in one slot:

    meta             hash    whose data this is, in which format, and the identity of the chat
    room:KEY         stream  what was said in a room; an entry is a run, and its id 0-SEQ the SEQ of its last line
    last, spelled    hashes  by the key of a room: the SEQ of its last line, and how it is written
    who, accepted    hashes  by the token's hash: who somebody is and where, as JSON, and his last post that is kept
    home             hash    by the token's hash: the server that serves him, or served him last and holds his place
    held             set     the tokens' hashes of those whose server was taken for dead, and who have not come back yet
    seen             zset    the tokens' hashes, by when they were seen, in milliseconds since 1970
    looks, claims    hashes  by a look of a name: the token's hash of who has it; and all looks of one, by his
    named            hash    by the token's hash: the looks of the name that was claimed last
    fact:KIND        hash    `Journal.facts`
    batch            hash    by server: the number of its last batch that is kept
    servers, lease:ID        the servers that there are, and each as long as it lives
    news             stream  what every server has to know: who is where, facts, notices
    inbox:ID         stream  what one server is to do
"""

FORMAT = "1"  # of all that; a later one refuses, or converts, an earlier one
APPLICATION = "chat-room"
NEWS_KEPT = 100_000  # entries, some 30 MB: hours of them; who was cut off for longer asks for all there is
INBOX_KEPT = 10_000  # entries, for a server that is slow or gone

_COMMON = f"""
local P, me = ARGV[1], ARGV[2]
local function num(value) return string.format('%.0f', value) end
local function news(...)
  redis.call('XADD', P..'news', 'MAXLEN', '~', {NEWS_KEPT}, '*', 'by', me, ...)
end
local function drop_looks(token, kept)  -- those of a session that are not in the table `kept`
  local claimed = redis.call('HGET', P..'claims', token)
  if not claimed then return end
  for look in string.gmatch(claimed, '[^\\n]+') do
    if not kept[look] and redis.call('HGET', P..'looks', look) == token then
      redis.call('HDEL', P..'looks', look)
    end
  end
  redis.call('HDEL', P..'claims', token)
end
local function keep_looks(token, looks)  -- these and no others
  local kept = {{}}
  for look in string.gmatch(looks, '[^\\n]+') do kept[look] = true end
  drop_looks(token, kept)
  for look in pairs(kept) do redis.call('HSET', P..'looks', look, token) end
  if next(kept) then redis.call('HSET', P..'claims', token, looks) end
end
local function number_on(key, known)  -- a Redis that has lost data must not give out again what people have seen
  if tonumber(redis.call('HGET', P..'last', key) or '0') < known then redis.call('HSET', P..'last', key, num(known)) end
end
local function last_news()  -- the id of it
  local last = redis.call('XREVRANGE', P..'news', '+', '-', 'COUNT', 1)
  return last[1] and last[1][1] or '0-0'
end
local function go(token, who)  -- nobody is here any more for a session
  drop_looks(token, {{}})
  redis.call('HDEL', P..'named', token)
  redis.call('HDEL', P..'home', token)
  redis.call('SREM', P..'held', token)
  news('token', token, 'home', '', 'who', who)
end
local function has_owner(looks, token, rival)  -- another than these two
  for look in string.gmatch(looks, '[^\\n]+') do
    local owner = redis.call('HGET', P..'looks', look)
    if owner and owner ~= token and owner ~= rival then return true end
  end
  return false
end
local function come(token, looks)  -- be served here, with these looks and those he had
  local claimed = redis.call('HGET', P..'claims', token)
  keep_looks(token, claimed and claimed..'\\n'..looks or looks)
  redis.call('HSET', P..'named', token, looks)
  local home, who = redis.call('HGET', P..'home', token), redis.call('HGET', P..'who', token)
  redis.call('HSET', P..'home', token, me)
  redis.call('SREM', P..'held', token)
  if home and home ~= me and who then news('token', token, 'home', me, 'who', who) end
end
"""

# Return what is wrong with the data, nothing, or `made` if there was none, and it is this chat's now.
BEGIN = """
local kind = redis.call('TYPE', P..'meta').ok
if kind ~= 'none' and kind ~= 'hash' then return 'foreign' end
local application = redis.call('HGET', P..'meta', 'application')
if not application then
  if kind ~= 'none' then return 'foreign' end
  redis.call('HSET', P..'meta', 'application', ARGV[3], 'format', ARGV[4], 'id', ARGV[5])
  return 'made'
elseif application ~= ARGV[3] then
  return 'foreign'
elseif redis.call('HGET', P..'meta', 'format') ~= ARGV[4] then
  return 'format '..redis.call('HGET', P..'meta', 'format')
end
return ''
"""

# ARGV: the number of the batch, how many posts, sessions and ended sessions it has, and then all of them.
# Return of the rooms in which something is said: key, and the SEQ of the last line.
APPEND = """
local batch, at = tonumber(ARGV[3]), 7
local kept = tonumber(redis.call('HGET', P..'batch', me) or '0') >= batch
local function take() at = at + 1; return ARGV[at - 1] end
local lasts = {}
local clock = redis.call('TIME')
local now = num(clock[1] * 1000 + math.floor(clock[2] / 1000))

local function post()
  local key, room, kind, name, color = take(), take(), take(), take(), take()
  local token, number, count, texts, known = take(), tonumber(take()), tonumber(take()), take(), tonumber(take())
  lasts[key] = true
  if kept then return end
  if number > 0 then
    local accepted = tonumber(redis.call('HGET', P..'accepted', token) or '0')
    local last = number + count - 1
    if last <= accepted then return end
    for _ = number, accepted do
      texts = string.sub(texts, string.find(texts, '\\n', 1, true) + 1)
      count = count - 1
    end
    redis.call('HSET', P..'accepted', token, num(last))
  end
  number_on(key, known)
  local seq = num(redis.call('HINCRBY', P..'last', key, num(count)))
  redis.call('HSETNX', P..'spelled', key, room)
  redis.call('XADD', P..'room:'..key, '0-'..seq,
    'kind', kind, 'room', room, 'time', now, 'name', name, 'color', color, 'count', num(count), 'texts', texts)
end

local function session()
  local token, accepted, present, who, looks = take(), tonumber(take()), take(), take(), take()
  if redis.call('HGET', P..'home', token) ~= me then return end  -- he came back at another server
  if accepted > tonumber(redis.call('HGET', P..'accepted', token) or '0') then
    redis.call('HSET', P..'accepted', token, num(accepted))
  end
  local before = redis.call('HGET', P..'who', token)
  redis.call('HSET', P..'who', token, who)
  redis.call('ZADD', P..'seen', now, token)
  if present == '0' then
    go(token, who)
  else
    -- Else he has claimed another name since, and who he is then is still to come.
    if looks == redis.call('HGET', P..'named', token) then keep_looks(token, looks) end
    if before ~= who then news('token', token, 'home', me, 'who', who) end
  end
end

local function ended()
  local token, who = take(), take()
  if redis.call('HGET', P..'home', token) ~= me then return end
  redis.call('HDEL', P..'who', token)
  redis.call('ZADD', P..'seen', now, token)  -- what was accepted stays for a while: a server cut off may have it, too
  go(token, who)
end

for _ = 1, ARGV[4] do post() end
if not kept then
  for _ = 1, ARGV[5] do session() end
  for _ = 1, ARGV[6] do ended() end
  redis.call('HSET', P..'batch', me, num(batch))
end
local told = {}
for key in pairs(lasts) do
  table.insert(told, key)
  table.insert(told, redis.call('HGET', P..'last', key) or '0')
end
return told
"""

# ARGV: token, the token of somebody who has to give way, or nothing, and the looks of a name.
# Return whether it is his, and the id of the news before that.
CLAIM = """
local token, rival, looks = ARGV[3], ARGV[4], ARGV[5]
local before = last_news()
if has_owner(looks, token, rival) then return {0, before} end
if rival ~= '' and redis.call('HEXISTS', P..'home', rival) == 1 then
  go(rival, redis.call('HGET', P..'who', rival) or '')
end
come(token, looks)
return {1, before}
"""

# ARGV: of people who are connected here, token and the looks of his name.
# Return the id of the news before that, and of each whether he is still, or again, ours.
TAKE_BACK = """
local found = {last_news()}
for i = 3, #ARGV, 2 do
  local token, looks = ARGV[i], ARGV[i + 1]
  local home = redis.call('HGET', P..'home', token)
  local gone = home and home ~= me and redis.call('SISMEMBER', P..'held', token) == 0
  if gone or has_owner(looks, token, token) then
    table.insert(found, 0)
  else
    come(token, looks)
    table.insert(found, 1)
  end
end
return found
"""

# ARGV: token, and the looks of the name that he keeps, or nothing.
DISCLAIM = """
local token, looks = ARGV[3], ARGV[4]
if redis.call('HGET', P..'home', token) ~= me then return end
if looks == '' then return go(token, '') end
keep_looks(token, looks)
redis.call('HSET', P..'named', token, looks)
"""

# ARGV: of rooms, key and the SEQ of the last line that is known. Number on from there.
NUMBER_ON = """
for i = 3, #ARGV, 2 do number_on(ARGV[i], tonumber(ARGV[i + 1])) end
"""

# Return the id of the last news, and of everybody here: token, home, who and accepted.
SNAPSHOT = """
local all = {last_news()}
local homes = redis.call('HGETALL', P..'home')
for i = 1, #homes, 2 do
  local who = redis.call('HGET', P..'who', homes[i])
  if who then
    table.insert(all, homes[i])
    table.insert(all, homes[i + 1])
    table.insert(all, who)
    table.insert(all, redis.call('HGET', P..'accepted', homes[i]) or '0')
  end
end
return all
"""

# ARGV: milliseconds. Return whether there was a lease before, and the servers that have none.
RENEW = """
local before = redis.call('EXISTS', P..'lease:'..me)
redis.call('SET', P..'lease:'..me, 1, 'PX', ARGV[3])
redis.call('SADD', P..'servers', me)
local dead = {before}
for _, id in ipairs(redis.call('SMEMBERS', P..'servers')) do
  if redis.call('EXISTS', P..'lease:'..id) == 0 then table.insert(dead, id) end
end
return dead
"""

# ARGV: a server. If it has no lease, hold the places of its people from here on; return how many they are.
ADOPT = """
local dead, people = ARGV[3], 0
if redis.call('EXISTS', P..'lease:'..dead) == 1 then return people end
local homes = redis.call('HGETALL', P..'home')
for i = 1, #homes, 2 do
  if homes[i + 1] == dead then
    local token = homes[i]
    local who = redis.call('HGET', P..'who', token)
    if who then
      redis.call('HSET', P..'home', token, me)
      redis.call('SADD', P..'held', token)
      news('token', token, 'home', me, 'who', who, 'held', 1)
      people = people + 1
    else
      drop_looks(token, {})
      redis.call('HDEL', P..'home', token)
    end
  end
end
redis.call('SREM', P..'servers', dead)
redis.call('DEL', P..'inbox:'..dead)
return people
"""

# ARGV: kind, key and, unless there is none any more, the fact.
KEEP_FACT = """
local kind, key, fact = ARGV[3], ARGV[4], ARGV[5]
if fact then
  redis.call('HSET', P..'fact:'..kind, key, fact)
  news('kind', kind, 'key', key, 'fact', fact)
else
  redis.call('HDEL', P..'fact:'..kind, key)
  news('kind', kind, 'key', key)
end
"""

# ARGV: kind, key, fact. Return whether there was none.
ADD_FACT = """
local kind, key, fact = ARGV[3], ARGV[4], ARGV[5]
if redis.call('HSETNX', P..'fact:'..kind, key, fact) == 0 then return 0 end
news('kind', kind, 'key', key, 'fact', fact)
return 1
"""

# ARGV: room's key, text.
NOTE = "news('room', ARGV[3], 'text', ARGV[4])"

# ARGV: a server, and what it is to do. Return whether it is there.
SEND = f"""
if redis.call('EXISTS', P..'lease:'..ARGV[3]) == 0 then return 0 end
redis.call('XADD', P..'inbox:'..ARGV[3], 'MAXLEN', '~', {INBOX_KEPT}, '*', unpack(ARGV, 4))
return 1
"""

# ARGV: milliseconds since 1970. Forget sessions that nobody has seen since, and that nobody holds.
# Return whether there may be more of them.
PURGE = """
local old = redis.call('ZRANGEBYSCORE', P..'seen', '-inf', ARGV[3], 'LIMIT', 0, 1000)
for _, token in ipairs(old) do
  redis.call('ZREM', P..'seen', token)
  if redis.call('HEXISTS', P..'home', token) == 0 then
    redis.call('HDEL', P..'who', token)
    redis.call('HDEL', P..'accepted', token)
  end
end
return #old == 1000
"""


_WRITING = (APPEND, CLAIM, TAKE_BACK, DISCLAIM, NUMBER_ON, KEEP_FACT, ADD_FACT, NOTE, SEND)
ALL = (BEGIN, SNAPSHOT, RENEW, ADOPT, PURGE, *_WRITING)


def complete(script: str) -> str:
    """Return a script as Redis takes it."""
    return _COMMON + script
