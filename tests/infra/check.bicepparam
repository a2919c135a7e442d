using '../../infra/main.bicep'

// What `azd up` passes when nobody set anything: the names and ids are made up.
param environmentName = 'check'
param location = 'westeurope'
param principalId = '00000000-0000-0000-0000-0000000000d1'
param entraClientId = '00000000-0000-0000-0000-0000000000a1'
