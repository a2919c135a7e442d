// A whole installation, in reading order: identity, storage, vault, monitoring, who may do what, and the app last.
// `azd up` deploys it with main.parameters.json; README.md says what it costs, what is public and what is done by hand.
targetScope = 'subscription'

@description('Name of the azd environment. Part of the names of the resource group and, hashed, of everything in it.')
@minLength(1)
@maxLength(64)
param environmentName string

@description('Region. It must offer Flex Consumption.')
@minLength(1)
@metadata({ azd: { type: 'location' } })
param location string

@description('Object id of whoever deploys: gets the roles that hooks and shared.ops need. Empty: nobody does.')
param principalId string = ''

@description('What the deployer is: User for a person, ServicePrincipal in a pipeline.')
@allowed(['User', 'ServicePrincipal', 'Group'])
param principalType string = 'User'

// Needed, and yet with a default: azd would ask for it before the preprovision hook has made it.
@description('Application (client) id of the app registration.')
param entraClientId string = ''

@description('Where people sign in, with the audience; empty: work and school accounts of every organisation.')
param entraAuthority string = ''

@description('Name of a certificate in the vault that proves the app to Entra; empty: the identity does.')
param entraCertificateName string = ''

@description('Version of Python. The package is built for one: 3.14 needs a package of its own.')
@allowed(['3.13', '3.14'])
param pythonVersion string = '3.13'

@description('Memory of an instance in MB: 2048 has one core, 512 a quarter, 4096 two.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048

@description('Most instances at once: the upper end of what can be spent. Regions may refuse fewer than 40.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('HTTP requests that one instance handles at once. Azure\'s default for Python is 1.')
@minValue(1)
@maxValue(1000)
param httpConcurrency int = 16

@description('''
Instances that always wait for HTTP requests. 0: the first request after a pause waits some seconds. Each costs about
20 EUR a month with 2048 MB, plus what it works, with no free grant (list price of 2026, not confirmed).
''')
@minValue(0)
@maxValue(20)
param alwaysReadyHttpInstances int = 0

@description('Replace instances in turn at an update instead of all at once. Not offered in every region.')
param rollingUpdates bool = false

@description('How the data is stored: LRS in one building, ZRS in three zones. Hard to change later.')
@allowed(['Standard_LRS', 'Standard_ZRS'])
param dataStorageSku string = 'Standard_LRS'

@description('How long log lines are kept, in days.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 30

@description('Bring back the vault that `azd down` deleted. The preprovision hook says so when there is one.')
param recoverKeyVault bool = false

@description('A host name of one\'s own, whose DNS records are set; empty: the one that Azure gives.')
param customDomain string = ''

@description('Thumbprint of its certificate. From then on it is the address that people, CRM and Graph are given.')
param customDomainThumbprint string = ''

@description('Amount a month at which mails are sent, in the currency of the bill; 0: no budget.')
@minValue(0)
param monthlyBudget int = 0

@description('Who gets these mails beside the owners of the resource group: addresses with commas.')
param budgetContactEmails string = ''

@description('First month of the budget. Counts only when it is made.')
param budgetStartDate string = utcNow('yyyy-MM-01')

@description('Who gets a mail when something is silent or wrong: addresses with commas; empty: nobody.')
param alertEmails string = ''

// Fresh at each deployment, used at the first (app/key-vault.bicep). Secure: neither the deployment's history nor a log
// shows them. Two GUIDs, each with 122 random bits.
@description('Part of the path that Graph calls.')
@secure()
param graphWebhookSecret string = '${newGuid()}-${newGuid()}'

@description('Signs clientState.')
@secure()
param clientStateKeys string = '${newGuid()}-${newGuid()}'

@description('Goes into the stored hash of every tenant\'s key.')
@secure()
param apiKeyPepper string = '${newGuid()}-${newGuid()}'

@description('Signs links to files.')
@secure()
param linkSigningKeys string = '${newGuid()}-${newGuid()}'

var serviceName = 'api' // in azure.yaml
var tags = { 'azd-env-name': environmentName }

// Names are known before anything is deployed, so that what-if can foresee everything.
var abbreviations = loadJsonContent('abbreviations.json')
var token = uniqueString(subscription().id, environmentName, location)
var names = {
  actionGroup: '${abbreviations.actionGroup}${token}'
  alert: '${abbreviations.alert}${token}-'
  app: '${abbreviations.functionApp}${token}'
  budget: '${abbreviations.budget}${token}'
  component: '${abbreviations.applicationInsights}${token}'
  dataStorage: '${abbreviations.dataStorage}${token}'
  hostStorage: '${abbreviations.hostStorage}${token}'
  identity: '${abbreviations.managedIdentity}${token}'
  plan: '${abbreviations.plan}${token}'
  vault: '${abbreviations.keyVault}${token}'
  workspace: '${abbreviations.logAnalytics}${token}'
}

// What the code names in shared/state/keys.py; a test compares.
var containers = ['staging']
var queues = ['changes', 'outbox', 'deliveries', 'maintenance']
var tables = ['Connections', 'Mailbox', 'Claims', 'Due', 'Sessions', 'Tenants', 'DeadLetters', 'Subscriptions']

var packageContainer = 'package'
var keyName = 'data-keys'
var secretNames = ['graph-webhook-secret', 'client-state-keys', 'api-key-pepper', 'link-signing-keys']
var certificateNames = empty(entraCertificateName) ? [] : [entraCertificateName]

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: '${abbreviations.resourceGroup}${environmentName}'
  location: location
  tags: tags
}

module identity 'app/identity.bicep' = {
  scope: group
  params: {
    name: names.identity
    location: location
    tags: tags
  }
}

module hostStorage 'app/storage.bicep' = {
  scope: group
  params: {
    name: names.hostStorage
    location: location
    tags: tags
    sku: 'Standard_LRS'
    containers: [packageContainer]
  }
}

module dataStorage 'app/storage.bicep' = {
  scope: group
  params: {
    name: names.dataStorage
    location: location
    tags: tags
    sku: dataStorageSku
    containers: containers
    queues: queues
    tables: tables
    emptied: [{ container: 'staging', days: 35 }] // the net beneath docs/adr/0012
  }
}

module keyVault 'app/key-vault.bicep' = {
  scope: group
  params: {
    name: names.vault
    location: location
    tags: tags
    recover: recoverKeyVault
    keyName: keyName
    secretNames: secretNames
    secretValues: {
      'graph-webhook-secret': graphWebhookSecret
      'client-state-keys': clientStateKeys
      'api-key-pepper': apiKeyPepper
      'link-signing-keys': linkSigningKeys
    }
  }
}

module monitoring 'app/monitoring.bicep' = {
  scope: group
  params: {
    workspaceName: names.workspace
    componentName: names.component
    location: location
    tags: tags
    retentionDays: logRetentionDays
  }
}

module rbac 'app/rbac.bicep' = {
  scope: group
  params: {
    hostStorageName: names.hostStorage
    dataStorageName: names.dataStorage
    vaultName: names.vault
    keyName: keyName
    secretNames: concat(secretNames, certificateNames)
    componentName: names.component
    appPrincipalId: identity.outputs.principalId
    deployerPrincipalId: principalId
    deployerPrincipalType: principalType
  }
  dependsOn: [hostStorage, dataStorage, keyVault, monitoring]
}

var vaultUri = 'https://${names.vault}${environment().suffixes.keyvaultDns}'
var keyEncryptionKey = '${vaultUri}/keys/${keyName}'
var dataUris = {
  blob: 'https://${names.dataStorage}.blob.${environment().suffixes.storage}'
  queue: 'https://${names.dataStorage}.queue.${environment().suffixes.storage}'
  table: 'https://${names.dataStorage}.table.${environment().suffixes.storage}'
}
var optionalSettings = union(
  empty(entraAuthority) ? {} : { ENTRA_AUTHORITY: entraAuthority },
  empty(entraCertificateName)
    ? {}
    : {
        ENTRA_CLIENT_CERTIFICATE: '@Microsoft.KeyVault(SecretUri=${vaultUri}/secrets/${entraCertificateName})'
      }
)

module api 'app/function.bicep' = {
  scope: group
  params: {
    planName: names.plan
    appName: names.app
    location: location
    tags: tags
    serviceName: serviceName
    identityName: names.identity
    pythonVersion: pythonVersion
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    httpConcurrency: httpConcurrency
    alwaysReadyHttpInstances: alwaysReadyHttpInstances
    rollingUpdates: rollingUpdates
    hostStorageName: names.hostStorage
    packageContainer: packageContainer
    componentName: names.component
    customDomain: customDomain
    customDomainThumbprint: customDomainThumbprint
    settings: union(optionalSettings, {
      PROFILE: 'azure'
      DataStorage__blobServiceUri: dataUris.blob
      DataStorage__queueServiceUri: dataUris.queue
      DataStorage__tableServiceUri: dataUris.table
      ENTRA_CLIENT_ID: empty(entraClientId) ? fail('entraClientId is empty: see docs/deploy.md') : entraClientId
      KEY_ENCRYPTION_KEY: keyEncryptionKey
      API_KEY_PEPPER: '@Microsoft.KeyVault(SecretUri=${vaultUri}/secrets/api-key-pepper)'
      CLIENT_STATE_KEYS: '@Microsoft.KeyVault(SecretUri=${vaultUri}/secrets/client-state-keys)'
      GRAPH_WEBHOOK_SECRET: '@Microsoft.KeyVault(SecretUri=${vaultUri}/secrets/graph-webhook-secret)'
      LINK_SIGNING_KEYS: '@Microsoft.KeyVault(SecretUri=${vaultUri}/secrets/link-signing-keys)'
    })
  }
  dependsOn: [rbac] // a reference that cannot be read when the settings are written stays unresolved
}

module alerts 'app/alerts.bicep' = {
  scope: group
  params: {
    workspaceName: names.workspace
    actionGroupName: names.actionGroup
    rulePrefix: names.alert
    location: location
    tags: tags
    emails: empty(alertEmails) ? [] : map(split(alertEmails, ','), address => trim(address))
  }
  dependsOn: [monitoring]
}

module budget 'app/budget.bicep' = if (monthlyBudget > 0) {
  scope: group
  params: {
    name: names.budget
    amount: monthlyBudget
    contactEmails: empty(budgetContactEmails) ? [] : map(split(budgetContactEmails, ','), address => trim(address))
    startDate: budgetStartDate
  }
}

// azd keeps these in its environment; the hooks and shared.ops read them there. No output is a secret.
output AZURE_LOCATION string = location
output AZURE_TENANT_ID string = tenant().tenantId
output AZURE_RESOURCE_GROUP string = group.name
output SERVICE_API_NAME string = names.app
output PUBLIC_BASE_URL string = api.outputs.publicBaseUrl
output IDENTITY_CLIENT_ID string = identity.outputs.clientId
output IDENTITY_PRINCIPAL_ID string = identity.outputs.principalId
output KEY_VAULT_URI string = vaultUri
output KEY_ENCRYPTION_KEY string = keyEncryptionKey
output DATA_STORAGE_TABLE_URI string = dataUris.table
output DATA_STORAGE_QUEUE_URI string = dataUris.queue
output DATA_STORAGE_BLOB_URI string = dataUris.blob
