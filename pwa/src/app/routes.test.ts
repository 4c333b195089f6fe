import { describe, expect, it } from 'vitest';
import { placeOf } from './routes';

const ID = '939bf0e0-8a21-4fae-8190-06d67e068fc3';

describe('an address', () => {
  it('leads to one place, with or without slashes around', () => {
    expect(placeOf('/')).toEqual({ name: 'start' });
    expect(placeOf('/index.html')).toEqual({ name: 'start' });
    expect(placeOf('/today/')).toEqual({ name: 'today' });
    expect(placeOf('/visits/past')).toEqual({ name: 'visit-past' });
    expect(placeOf(`/visits/${ID}`)).toEqual({ name: 'visit', id: ID });
    expect(placeOf('/follow-ups')).toEqual({ name: 'follow-ups' });
    expect(placeOf(`/follow-ups/${ID}`)).toEqual({ name: 'follow-up', id: ID });
    expect(placeOf(`/decide/${ID}`)).toEqual({ name: 'decide', id: ID });
    expect(placeOf('/invite/abc.def')).toEqual({ name: 'invite', secret: 'abc.def' });
    expect(placeOf('/invite/upload/abc.def')).toEqual({ name: 'upload', secret: 'abc.def' });
    expect(placeOf('/me/device')).toEqual({ name: 'device' });
    expect(placeOf('/me/reminders')).toEqual({ name: 'reminders' });
    expect(placeOf('/inbox')).toEqual({ name: 'inbox' });
    expect(placeOf('/score')).toEqual({ name: 'score' });
    expect(placeOf('/values')).toEqual({ name: 'values' });
    expect(placeOf(`/scores/${ID}`)).toEqual({ name: 'score-of', id: ID });
    expect(placeOf(`/customers/${ID}/edit`)).toEqual({ name: 'customer-edit', id: ID });
  });

  it('that nobody made leads nowhere, and says so', () => {
    for (const path of ['/nowhere', '/visits/x', `/visits/${ID}/x`, '/constructor', '/__proto__']) {
      expect(placeOf(path), path).toEqual({ name: 'not-found' });
    }
  });
});
