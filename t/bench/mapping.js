/*
 * The mapping of sendgrid_amp with its defaults, for njs and for workerd.
 */

import crypto from 'crypto';

const BATCH_EVENTS = 1000;
const MAX_USER_ID = 1024;
const MS = 1e11;  // what is not below it has 12 digits, and is milliseconds
const PASSWORD = 'CJdAK9fWEn4dH2UzKht37sAM';

const USER_KEYS = ['amp_user_id', 'email'];

const RESERVED = {
    'anonymous': true, 'nil': true, 'none': true, 'null': true, 'n/a': true,
    'na': true, 'undefined': true, 'unknown': true, '{}': true,
    'lmy47d': true, '0': true, '-1': true,
    '00000000-0000-0000-0000-000000000000': true
};


function authorize(header) {
    if (!header || !header.toLowerCase().startsWith('basic ')) {
        return null;
    }

    const credentials = Buffer.from(header.slice(6).trim(), 'base64').toString();
    const colon = credentials.indexOf(':');

    if (colon < 1 || credentials.slice(colon + 1) !== PASSWORD) {
        return null;
    }

    return credentials.slice(0, colon);
}


function userId(event) {
    for (let i = 0; i < USER_KEYS.length; i++) {
        let id = event[USER_KEYS[i]];

        if (typeof id === 'number') {
            id = String(id);
        }

        if (typeof id === 'string') {
            id = id.trim();

            if (id !== '' && id.length <= MAX_USER_ID
                && !RESERVED[id.toLowerCase()])
            {
                return id;
            }
        }
    }

    return null;
}


function time(stamp) {
    if (typeof stamp === 'string' && /^\d+\.?\d*$/.test(stamp)) {
        stamp = Number(stamp);
    }

    if (typeof stamp !== 'number' || stamp < 0) {
        return undefined;
    }

    return Math.floor(stamp >= MS ? stamp : stamp * 1000);
}


function insertId(event) {
    const id = event.sg_event_id;

    if (typeof id === 'string' && id !== '') {
        return id;
    }

    return crypto.createHash('sha256').update(JSON.stringify(event))
        .digest('hex');
}


function map(event) {
    if (event === null || typeof event !== 'object'
        || typeof event.event !== 'string' || event.event === '')
    {
        return null;
    }

    const user = userId(event);

    if (user === null) {
        return null;
    }

    return {
        user_id: user,
        event_type: '[Sendgrid] ' + event.event,
        time: time(event.timestamp),
        insert_id: insertId(event),
        library: 'sendgrid',
        event_properties: event
    };
}


/* the batches of a webhook, and what the answer says about it */

function convert(key, text) {
    let webhook = JSON.parse(text);

    if (!Array.isArray(webhook)) {
        webhook = [webhook];
    }

    const events = webhook.map(map).filter(event => event !== null);
    const batches = [];

    for (let i = 0; i < events.length; i += BATCH_EVENTS) {
        batches.push(JSON.stringify({
            api_key: key,
            events: events.slice(i, i + BATCH_EVENTS),
            options: { min_id_length: 1 }
        }));
    }

    return {
        batches: batches,
        summary: {
            received: webhook.length,
            forwarded: events.length,
            ignored: 0,
            rejected: webhook.length - events.length,
            batches: batches.length
        }
    };
}


export default { authorize, convert };
